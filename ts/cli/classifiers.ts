// The models for images that the commands train, by name.
import { models } from '../index.js'
import { images } from './tasks/images.js'
import type { ModelRow } from './tasks/task.js'

/** What the data says of a model: images [imageSize, imageSize, inChannels] in `classes` classes. */
export interface ImageConfig {
  inChannels: number
  classes: number
  imageSize: number
}

/** A model for images of at least `least` pixels a side. */
interface Classifier extends ModelRow {
  least: number
  make(config: ImageConfig): ReturnType<ModelRow['make']>
}

/** Images of up to 64 pixels are too small for a stem that leaves a quarter of the size. */
const stemFor = (imageSize: number): 'cifar' | 'imagenet' => (imageSize > 64 ? 'imagenet' : 'cifar')

const resnet = (depth: models.ResNetDepth): Classifier => ({
  task: images,
  title: `ResNet-${depth}`,
  least: 1,
  make: ({ inChannels, classes, imageSize }) => new models.ResNet(depth, { inChannels, classes, stem: stemFor(imageSize) }),
})

/** Of `layers` layers in each of three blocks: two convolutions a layer, and the stem, two transitions and the Linear. */
const densenet = (layers: number): Classifier => ({
  task: images,
  title: `DenseNet-BC-${3 * 2 * layers + 4}`,
  least: 4,
  make: ({ inChannels, classes, imageSize }) =>
    models.densenet({ inChannels, classes, stem: stemFor(imageSize), blockConfig: [layers, layers, layers], memoryEfficient: true }),
})

export const classifiers: Readonly<Record<string, Classifier>> = {
  cnn: { task: images, title: 'CNN', least: 18, make: models.cnn },
  mlp: {
    task: images,
    title: 'MLP',
    least: 1,
    make: ({ inChannels, classes, imageSize }) => models.mlp({ inFeatures: imageSize * imageSize * inChannels, classes }),
  },
  lenet: { task: images, title: 'LeNet-5', least: 16, make: models.lenet },
  vgg: { task: images, title: 'VGG-small', least: 8, make: models.vggSmall },
  resnet18: resnet(18),
  resnet20: resnet(20),
  resnet34: resnet(34),
  resnet50: resnet(50),
  resnet56: resnet(56),
  densenet40: densenet(6),
  densenet100: densenet(16),
}
