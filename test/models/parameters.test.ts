// The published numbers of parameters, and what comes out of images.
import { expect, it } from 'vitest'
import { models, nn } from '../../ts/index.js'

const table: [name: string, make: () => nn.Module, parameters: number, input: number[], classes: number][] = [
  ["LeNet-5 on 32x32 grey images, the tutorials' tail", () => models.lenet(), 61_706, [2, 32, 32, 1], 10],
  ['LeNet-5 on 28x28', () => models.lenet({ imageSize: 28 }), 44_426, [2, 28, 28, 1], 10],
  ['MLP 1024-512-256-10', () => models.mlp(), 1024 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10, [2, 32, 32, 1], 10],
  ['a linear classifier', () => models.mlp({ inFeatures: 784, hidden: [] }), 7850, [2, 28, 28, 1], 10],
  ['VGG-small', () => models.vggSmall(), 1_187_274, [2, 32, 32, 3], 10],
  ["VGG-small as wide as Cai et al.'s", () => models.vggSmall({ width: 128 }), 4_660_106, [2, 32, 32, 3], 10],
  ['ResNet-18, ImageNet (torchvision)', () => models.resnet18(), 11_689_512, [1, 224, 224, 3], 1000],
  ['ResNet-18, CIFAR (kuangliu/pytorch-cifar)', () => models.resnet18({ stem: 'cifar', classes: 10 }), 11_173_962, [2, 32, 32, 3], 10],
  ['ResNet-34, ImageNet (torchvision)', () => models.resnet34(), 21_797_672, [1, 224, 224, 3], 1000],
  ['ResNet-50, ImageNet (torchvision)', () => models.resnet50(), 25_557_032, [1, 224, 224, 3], 1000],
  ['ResNet-20, CIFAR, option A (He et al.: 0.27 M)', () => models.resnet20(), 269_722, [2, 32, 32, 3], 10],
  ['ResNet-20, CIFAR, option B (chenyaofo/pytorch-cifar-models)', () => models.resnet20({ shortcut: 'projection' }), 272_474, [2, 32, 32, 3], 10],
  ['ResNet-56, CIFAR, option A (He et al.: 0.85 M)', () => models.resnet56(), 853_018, [2, 32, 32, 3], 10],
  ['ResNet-56, CIFAR, option B', () => models.resnet56({ shortcut: 'projection' }), 855_770, [2, 32, 32, 3], 10],
  ['DenseNet-BC-100-12, CIFAR (Huang et al.: 0.8 M)', () => models.densenet(), 769_162, [2, 32, 32, 3], 10],
  ['DenseNet-BC-100-12, CIFAR-100', () => models.densenet({ classes: 100 }), 800_032, [2, 32, 32, 3], 100],
  ['DenseNet-121, ImageNet (torchvision)', () => models.densenet121(), 7_978_856, [1, 224, 224, 3], 1000],
]

it.each(table)('%s', (_, make, parameters, input, classes) => {
  const result = nn.summary(make(), input)
  expect(result.parameters).toBe(parameters)
  expect(result.trainable).toBe(parameters)
  expect(result.rows[0]!.outputShape).toEqual([input[0], classes])
})
