import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CheckpointError, manualSeed, ones, type Tensor, tensor, ValueError } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'
import { saveSafetensors } from '../../ts/train/safetensors.js'
import { expectClose, formula, readGolden } from './golden.js'

let folder = ''
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'ferrograd-nn-')) })
afterAll(() => rm(folder, { recursive: true }))

const network = (): nn.Sequential => new nn.Sequential(
  new nn.Conv2d(3, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU(), new nn.Dropout(0.5), new nn.Flatten(), new nn.Linear(2 * 3 * 4, 5),
)

/** The state as PyTorch would have written it: its names, channels second, columns of the flattened image in its order. */
function asTorch(model: nn.Sequential, prefix = ''): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(model.stateDict()).map(([name, t]) => {
    const value = t.detach()
    const torchName = prefix + name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    if (value.ndim === 4) return [torchName, value.permute([0, 3, 1, 2]).contiguous()]
    if (value.ndim === 2) return [torchName, value.reshape([5, 6, 4]).transpose(1, 2).contiguous().reshape([5, 24])]
    return [torchName, value]
  }))
}

const output = (model: nn.Module): unknown => model.eval().forward(ones([1, 4, 5, 3]).mul(0.3)).dataSync()

describe('save and load', () => {
  it('bring back parameters and buffers', async () => {
    const [from, to] = [network(), network()]
    from.forward(ones([2, 4, 5, 3]))
    const path = join(folder, 'model.safetensors')
    await from.save(path, { metadata: { note: 'mine' } })
    expect(await to.load(path)).toEqual({ missing: [], unexpected: [] })
    expect(output(to)).toEqual(output(from))
    expect((to[1] as nn.BatchNorm2d).numBatchesTracked!.itemSync()).toBe(1)
    await expect(new nn.Linear(1, 1).load(path)).rejects.toThrow(CheckpointError)
  })
})

describe('PyTorch\'s files', () => {
  it('give PyTorch\'s output', async () => {
    const golden = readGolden()
    const torch = Object.fromEntries(golden.keys('torch.').map((key) => {
      const { shape, data } = golden.expected(key)!
      return [key.slice('torch.'.length), tensor(data, { shape, dtype: 'float64' }).cast(key.endsWith('tracked') ? 'int64' : 'float32')]
    }))
    const path = join(folder, 'real.safetensors')
    await saveSafetensors(path, torch, { metadata: { format: 'pt' } })
    const model = network()
    await model.load(path, { from: 'torch' })
    expectClose('torch network.y', model.eval().forward(formula([2, 4, 5, 3], 1, 'float32')) as Tensor, golden.expected('torch network.y')!)
  })

  it('are refused without from, rearranged with it', async () => {
    manualSeed(5)
    const from = network()
    const path = join(folder, 'torch.safetensors')
    await saveSafetensors(path, asTorch(from), { metadata: { format: 'pt' } })
    const to = network()
    await expect(to.load(path)).rejects.toThrow(/from: 'torch'/)
    await to.load(path, { from: 'torch' })
    expect(output(to)).toEqual(output(from))
  })

  it('want to know which Linear reads an image, where forward hides it', async () => {
    class Net extends nn.Module {
      features = new nn.Conv2d(3, 4, 3)
      head = new nn.Linear(24, 5)
      forward(x: Tensor): Tensor {
        return this.head.forward(this.features.forward(x).flatten(1))
      }
    }
    const plain = new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.Flatten(), new nn.Linear(24, 5))
    const torch = asTorch(plain)
    const path = join(folder, 'hidden.safetensors')
    await saveSafetensors(path, {
      'features.weight': torch['0.weight']!, 'features.bias': torch['0.bias']!, 'head.weight': torch['2.weight']!, 'head.bias': torch['2.bias']!,
    })
    const model = new Net()
    await expect(model.load(path, { from: 'torch' })).rejects.toThrow(`Pass { flatten: { 'head': 4 } }`)
    await model.load(path, { from: 'torch', flatten: { head: 4 } })
    expect(output(model)).toEqual(output(plain))
    await model.load(path, { from: 'torch', flatten: { head: 0 } })
    expect(output(model)).not.toEqual(output(plain))
  })
})

describe('metadata', () => {
  it('that could not be read back is refused before the old file is touched', async () => {
    const model = network()
    const path = join(folder, 'good.safetensors')
    await model.save(path)
    const wrong: [metadata: unknown, message: RegExp][] = [
      [{ epoch: 5 }, /^save: metadata.epoch must be a string, got 5\.\n {2}Write String\(value\)/],
      [{ config: { size: 3 } }, /^save: metadata.config must be a string, got Object/],
      [{ big: 5n }, /metadata.big must be a string/],
      [{ none: undefined }, /metadata.none must be a string, got undefined/],
      [{ format: 'pt' }, /^save: metadata has 'format', which Ferrograd writes itself/],
      [{ ferrograd_sha256: '0' }, /'ferrograd_sha256', which Ferrograd writes itself/],
      ['hello', /^save: metadata must be an object of strings, got "hello"/],
      [null, /metadata must be an object of strings, got null/],
    ]
    for (const [metadata, message] of wrong) {
      const error = await model.save(path, { metadata: metadata as never }).catch((reason: unknown) => reason)
      expect(error, String(message)).toBeInstanceOf(ValueError)
      expect((error as Error).message).toMatch(message)
      expect(await model.load(path)).toEqual({ missing: [], unexpected: [] })
    }
  })
})
