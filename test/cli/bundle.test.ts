// A saved model says which it is: each that the commands train comes back from its folder.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { nn, noGrad, randn, scope, type Tensor } from '../../ts/index.js'
import { loadBundle, saveBundle } from '../../ts/cli/bundle.js'
import { classifiers } from '../../ts/cli/classifiers.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-bundle-'))
afterAll(() => rm(folder, { recursive: true }))

describe.each(Object.entries(classifiers))('%s', (name, { least, make, title }) => {
  it('takes the smallest images, and large ones', () => {
    for (const imageSize of [least, 100]) {
      const model = make({ inChannels: 1, classes: 3, imageSize })
      expect(nn.summary(model, [2, imageSize, imageSize, 1]).rows[0]!.outputShape).toEqual([2, 3])
    }
  })

  // The others are 45 to 95 MB.
  if (['ResNet-18', 'ResNet-34', 'ResNet-50'].includes(title)) return
  it('comes back from its folder', async () => {
    const config = { inChannels: 3, classes: 2, imageSize: 18 }
    const model = make(config).eval()
    const card = { model: name, config, classes: ['a', 'b'], data: 'pets' }
    await mkdir(join(folder, name))
    await saveBundle(join(folder, name), { model, card })
    const loaded = await loadBundle(join(folder, name))
    expect(loaded.card).toEqual(card)
    expect(String(loaded.model)).toBe(String(model))
    const x = randn([2, 18, 18, 3])
    const logits = (m: nn.Module): Promise<unknown> => scope(() => noGrad(() => (m.forward(x) as Tensor).tolist()))
    expect(await logits(loaded.model)).toEqual(await logits(model))
  })
})
