// Mistakes in the command line, in this process: what is said, and the exit code.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { catalogue } from '../../ts/cli/catalogue.js'
import { defaultsOf } from '../../ts/cli/defaults.js'
import { demo } from '../../ts/cli/demo.js'
import { helpOn } from '../../ts/cli/help.js'
import { main } from '../../ts/cli/main.js'
import { encodePng } from '../../ts/cli/png.js'
import { spelled } from '../../ts/cli/usage.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-usage-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const out = join(folder, 'out')
const table = join(folder, 'table.csv')
beforeAll(() => writeFile(table, 'a,b\n1,x\n2,y\n'))

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

describe('help', () => {
  it.each(Object.keys(catalogue))('on %s names its options and its defaults', (model) => {
    const text = helpOn('train', [model])
    expect(text).toMatch(new RegExp(`^${model}: `))
    const { options } = catalogue[model]!.task
    const names = ['data', 'out', 'resume', 'overwrite', ...Object.keys(defaultsOf(model)), ...options.train, ...options.evaluate.filter((name) => name === 'download')]
    for (const name of names) expect(text).toContain(`\n  ${spelled(name)} `)
    const { epochs, batchSize, lr, validation } = defaultsOf(model)
    for (const [name, value] of Object.entries({ epochs, batchSize, lr, validation })) expect(text).toMatch(new RegExp(`${spelled(name)} .*\\(${value}\\)\n`))
    // Foreign options are refused, and so not shown.
    const foreign = new Set(Object.values(catalogue).flatMap(({ task }) => task.options.train))
    for (const name of options.train) foreign.delete(name)
    for (const name of foreign) expect(text).not.toContain(`\n  ${spelled(name)} `)
    expect(helpOn('train')).toMatch(new RegExp(`\n  ${model} `))
  })

  it('names every option of predict and evaluate, and what each kind of data takes', () => {
    for (const command of ['predict', 'evaluate'] as const) {
      const names = new Set(Object.values(catalogue).flatMap(({ task }) => task.options[command]))
      expect(names.size).toBeGreaterThan(4)
      for (const name of names) expect(helpOn(command)).toMatch(new RegExp(`^  (--[a-z-]+, )*--${name}\\b`, 'm'))
    }
  })

  it('fits into 120 columns', () => {
    for (const text of [...Object.keys(catalogue).map((model) => helpOn('train', [model])), ...['', 'train', 'predict', 'evaluate', 'doctor'].map((name) => helpOn(name))])
      for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(120)
  })
})

describe('a mistake in the command line', () => {
  it('is answered with the nearest name', async () => {
    const cases: [args: string[], code: number, message: RegExp][] = [
      [['trian'], 2, /^ferrograd: there is no command 'trian'\. Did you mean 'train'\? The commands are train/],
      [['fly'], 2, /^ferrograd: there is no command 'fly'\. The commands are/],
      [['help', 'fly'], 2, /^ferrograd: there is no command 'fly'/],
      [['--verison'], 2, /^ferrograd: there is no option '--verison'\. Did you mean '--version'\?/],
      [['doctor', 'x'], 2, /^ferrograd: doctor: 'x' is not understood/],
      [['train', 'cnn', 'digits', '--out', out], 2, /^ferrograd: train: 'digits' is not understood: one model is trained, its data is named by --data\.\n {2}See: ferrograd train cnn --help/],
      [['evaluate', out, 'digits'], 2, /^ferrograd: evaluate: 'digits' is not understood: one training run is measured, other data is named by --data/],
      [['train', 'cnn', '--out', out, '--data', 'imdb'], 1, /^ferrograd: imdb is a data set of texts, which this model does not read\.\n {2}There are digits, cifar10, mnist, or a folder/],
      [['train', 'cnn', '--out', out, '--data', table], 1, /table\.csv is a file, not a folder\./],
      [['train', 'charrnn', '--out', out, '--data', folder], 1, /is a folder, not a text file\./],
      [['train', 'forecast', '--out', out, '--data', `${table}.jsonl`], 1, /there is no CSV file .*, and no data set of this name\./],
      [['train', 'lstm', '--out', out, '--data', table], 1, /has no column "text"\.\n {2}There are a, b\.\n {2}The columns are named by --text-column and --label-column, what stands between them by --delimiter/],
      [['train', 'forecast', '--out', out, '--data', table], 1, /row 1 \(line 2\) of .*table\.csv has "x" where a number is wanted[^]*The column is named by --column/],
      [['predict', table], 1, /table\.csv is no training run\.\n {2}Give the folder that --out was/],
      [['train', 'cnn', '--sed', '3'], 2, /^ferrograd: train: Unknown option '--sed'\. Did you mean '--seed'\?\n {2}See: ferrograd train cnn --help/],
      [['train', 'cnm', '--out', out], 2, /there is no model 'cnm'\. Did you mean 'cnn'\? Write: ferrograd train cnn/],
      [['train', 'lstm', '--data', 'imdb', '--augment', '--out', out], 2, /train: --augment has no meaning for texts, which lstm reads\./],
      [['train', 'cnn', '--data', 'digits', '--vocabulary', '10', '--out', out], 2, /train: --vocabulary has no meaning for images, which cnn reads\./],
      [['train', 'lstm', '--data', 'imdb', '--vocabulary', '2', '--out', out], 2, /--vocabulary is a whole number of at least 3, not '2'\.\n {2}See: ferrograd train lstm --help/],
      [['train', 'lstm', '--data', 'imbd', '--out', out], 1, /no data set of this name\. Did you mean 'imdb'\?/],
      [['train', 'lstm', '--out', out], 2, /--data is missing: imdb, mr[^]*See: ferrograd train lstm --help/],
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
