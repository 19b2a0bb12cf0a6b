// Mistakes in the command line, in this process: what is said, and the exit code.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { demo } from '../../ts/cli/demo.js'
import { main } from '../../ts/cli/main.js'
import { encodePng } from '../../ts/cli/png.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-usage-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const out = join(folder, 'out')

/** What a command writes to the standard error output, and its exit code. */
async function said(run: () => Promise<number>): Promise<[code: number, text: string]> {
  let text = ''
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  try {
    return [await run(), text]
  } finally {
    spy.mockRestore()
  }
}

describe('a mistake in the command line', () => {
  it('is answered with the nearest name', async () => {
    const cases: [args: string[], code: number, message: RegExp][] = [
      [['trian'], 2, /^ferrograd: there is no command 'trian'\. Did you mean 'train'\? The commands are train/],
      [['fly'], 2, /^ferrograd: there is no command 'fly'\. The commands are/],
      [['train', 'cnn', '--sed', '3'], 2, /^ferrograd: train: Unknown option '--sed'\. Did you mean '--seed'\?\n {2}See: ferrograd train --help/],
      [['train', 'cnm', '--out', out], 2, /there is no model 'cnm'\. Did you mean 'cnn'\? Write: ferrograd train cnn/],
      [['train', 'lstm', '--data', 'imdb', '--augment', '--out', out], 2, /train: --augment has no meaning for texts, which lstm reads\./],
      [['train', 'cnn', '--data', 'digits', '--vocabulary', '10', '--out', out], 2, /train: --vocabulary has no meaning for images, which cnn reads\./],
      [['train', 'lstm', '--data', 'imdb', '--vocabulary', '2', '--out', out], 2, /--vocabulary is a whole number of at least 3, not '2'/],
      [['train', 'lstm', '--data', 'imbd', '--out', out], 1, /no data set of this name\. Did you mean 'imdb'\?/],
      [['train', 'lstm', '--out', out], 2, /--data is missing: imdb, mr/],
      [['train', 'cnn', '--out', out, '--data', 'digit'], 1, /no data set of this name\. Did you mean 'digits'\?/],
      [['evaluate', out, '--dta', 'digits'], 2, /Did you mean '--data'\?/],
    ]
    for (const [args, code, message] of cases) {
      const [ended, text] = await said(() => main(args))
      expect(text).toMatch(message)
      expect([args.join(' '), ended]).toEqual([args.join(' '), code])
    }
  })

  it('that would be passed over is refused, and nothing is written', async () => {
    const [code, text] = await said(() => main(['train', 'lenet', '--data', 'digits', '--size', '28', '--out', out]))
    expect([code, text]).toEqual([2, expect.stringMatching(/^ferrograd: train: --size 28 is for images from a folder; those of handwritten digits have \d+ pixels a side\. Leave it out/)])
    const [both, answer] = await said(() => main(['train', 'cnn', '--data', 'digits', '--out', out, '--resume', '--overwrite']))
    expect([both, answer]).toEqual([2, expect.stringMatching(/--resume goes on with the run in --out, --overwrite begins anew\. Choose one/)])
    expect(existsSync(out)).toBe(false)
  })

  it('too few images speak of the test images, not of --validation', async () => {
    const few = join(folder, 'few')
    for (const name of ['a', 'b']) {
      await mkdir(join(few, name), { recursive: true })
      await writeFile(join(few, name, '1.png'), encodePng(new Uint8Array(20 * 20 * 3), 20, 20, 3))
    }
    const [code, text] = await said(() => main(['train', 'cnn', '--data', few, '--out', out, '--validation', '0']))
    expect([code, text]).toEqual([1, expect.stringMatching(/holds 2 images, of which no fifth can be left out to test\.\n {2}Add some, or give test images of their own/)])
  })

  it('in the demo is said once, with its own help', async () => {
    const [code, text] = await said(() => demo(['--foo']))
    expect([code, text]).toEqual([2, "demo: Unknown option '--foo'.\n  See: npm run demo -- --help\n"])
    const [other, answer] = await said(() => demo(['digits']))
    expect([other, answer]).toEqual([2, 'demo: digits is not understood.\n  See: npm run demo -- --help\n'])
  })
})
