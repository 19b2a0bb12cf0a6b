import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { data, train } from '../../ts/index.js'
import { encodePng } from '../../ts/cli/png.js'
import { ferrograd } from './command.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-cli-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const hash = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

/** Coloured squares in two classes: red ones and blue ones, of various shades. */
async function writeSquares(path: string, count: number): Promise<void> {
  for (const [name, channel] of [
    ['red', 0],
    ['blue', 2],
  ] as const) {
    await mkdir(join(path, name), { recursive: true })
    for (let i = 0; i < count; i++) {
      const pixels = Uint8Array.from({ length: 24 * 24 * 3 }, (_, p) => (p % 3 === channel ? 120 + 5 * (i % 20) : (p * (i + 3)) % 60))
      await writeFile(join(path, name, `${i}.png`), encodePng(pixels, 24, 24, 3))
    }
  }
}

/** Changes what the newest checkpoint in a folder says of its run. */
async function editRun(path: string, edit: (model: { run: Record<string, unknown>; card: Record<string, unknown> }) => void): Promise<void> {
  const file = join(path, (await readdir(path)).filter((name) => name.startsWith('checkpoint-')).sort().at(-1)!)
  const { tensors, metadata } = await train.loadSafetensors(file)
  const checkpoint = JSON.parse(metadata.checkpoint!) as { model: Parameters<typeof edit>[0] }
  edit(checkpoint.model)
  await train.saveSafetensors(file, tensors, { metadata: { ...metadata, checkpoint: JSON.stringify(checkpoint) } })
}

describe('the command line', () => {
  it('teaches', async () => {
    const general = await ferrograd(['--help'])
    expect(general.code).toBe(0)
    for (const word of ['train cnn', 'predict', 'evaluate', 'doctor', 'FERROGRAD_NUM_THREADS']) expect(general.stdout).toContain(word)
    expect((await ferrograd(['train', '--help'])).stdout).toContain('--resume')
    const forecast = await ferrograd(['train', 'forecast', '--help'])
    expect(forecast.stdout).toMatch(/^forecast: .*--season N.*--epochs N.*\(40\)/s)
    expect((await ferrograd(['help', 'train', 'forecast'])).stdout).toBe(forecast.stdout)
    expect((await ferrograd(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('answers mistakes with one clear line or two, and 2', async () => {
    const cases: [string[], RegExp][] = [
      [[], /train cnn/],
      [['fly'], /there is no command 'fly'/],
      [['train'], /which model is missing/],
      [['train', 'resnet19'], /there is no model 'resnet19'.*\n.*There are cnn, mlp, lenet, vgg, resnet18/],
      [['train', 'lenet', '--data', at('x'), '--out', at('x'), '--size', '15'], /--size is a whole number of at least 16, not '15'/],
      [['train', 'cnn', '--data', 'digits'], /--out DIR is missing/],
      [['train', 'cnn', '--out', at('x')], /--data is missing/],
      [['train', 'cnn', '--data', 'digits', '--out', at('x'), '--epochs', 'ten'], /--epochs is a whole number of at least 1, not 'ten'/],
      [['train', 'cnn', '--data', 'digits', '--out', at('x'), '--optimizer', 'magic'], /--optimizer is adam/],
      [['train', 'cnn', '--speed', '9'], /Unknown option '--speed'/],
      [['train', 'cnn', '--out', at('x'), '--lr', '-1'], /train: --lr is a number of at least 0, not '-1': a negative rate would climb the loss/],
      [['train', 'cnn', '--out', at('x'), '--lr=-1'], /train: --lr is a number of at least 0, not '-1'/],
      [['train', 'cnn', '--out', '--seed', '3'], /--out is followed by '--seed', which looks like an option\.\n {2}If it is the value, write --out=--seed/],
      [['train', 'cnn', '--out', at('x'), '--validation', '2'], /--validation is a number of at least 0 and below 1, not '2': it is the share of the training data/],
    ]
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await ferrograd(args)
      expect(code, args.join(' ')).toBe(2)
      expect(stdout + stderr).toMatch(message)
      expect(stderr).not.toMatch(/\n\s+at /)
    }
  })

  it('answers failures with 1, and a stack only where asked', async () => {
    const missing = await ferrograd(['predict', at('nowhere'), at('a.png')])
    expect(missing.code).toBe(1)
    expect(missing.stderr).toMatch(/^ferrograd: there is no .*nowhere\.\n {2}Train first/)
    expect(missing.stderr).not.toMatch(/\n\s+at /)
    const traced = await ferrograd(['predict', at('nowhere'), at('a.png')], { env: { FERROGRAD_TRACE: '1' } })
    expect(traced.stderr).toMatch(/\n\s+at /)
    expect((await ferrograd(['train', 'cnn', '--data', at('nothing'), '--out', at('x')])).stderr).toMatch(/there is no folder/)
    expect((await ferrograd(['train', 'cnn', '--data', 'cifar10', '--out', at('x')])).stderr).toMatch(/cifar10: no binary files/)
  })

  it('doctor shows the machine', async () => {
    const { code, stdout } = await ferrograd(['doctor'])
    expect(code).toBe(0)
    for (const word of ['Node', 'Vectors', 'Threads', 'Device', 'CUDA', 'Log', 'Memory']) expect(stdout).toContain(word)
    const facts = JSON.parse((await ferrograd(['doctor', '--json'])).stdout) as { cuda: { note: string }; threads: { used: number } }
    expect(facts.threads.used).toBeGreaterThan(0)
    expect(facts.cuda.note).not.toBe('')
    const limited = JSON.parse((await ferrograd(['doctor', '--json'], { env: { FERROGRAD_NUM_THREADS: '1' } })).stdout) as typeof facts
    expect(limited.threads.used).toBe(1)
    const ignored = await ferrograd(['doctor'], { env: { FERROGRAD_NUM_THREADS: 'abc' } })
    expect(ignored.stdout).toMatch(/^Threads +\d+ \(FERROGRAD_NUM_THREADS=abc is no whole number of at least 1 and is ignored, /m)
    const asked = await ferrograd(['doctor'], { env: { FERROGRAD_DEVICE: 'cuda', FERROGRAD_LOG: 'warn' } })
    expect(asked.code).toBe(0)
    expect(asked.stdout).toMatch(/^Device +none: FERROGRAD_DEVICE=cuda: cuda is not available: .+ Unset it, or set it to cpu\.$/m)
    expect(asked.stdout).toMatch(/^Log +warn \(FERROGRAD_LOG=warn\)$/m)
  })
})

describe('train, evaluate, predict', () => {
  const train = ['train', 'cnn', '--epochs', '3', '--seed', '4', '--batch-size', '16']

  beforeAll(async () => {
    await writeSquares(at('squares'), 40)
    await writeSquares(at('others'), 3)
    const { code, stdout, stderr } = await ferrograd([...train, '--data', at('squares'), '--size', '20', '--augment', '--out', at('run')])
    expect(code, stdout + stderr).toBe(0)
    expect(stderr).toMatch(/Epoch 1\/3/)
    expect(stderr).not.toMatch(/\r|\u001B/)
  }, 300_000)

  it('writes model, checkpoint, history and report', async () => {
    const names = await readdir(at('run'))
    expect(names).toEqual(expect.arrayContaining(['model.safetensors', 'history.jsonl', 'report.svg']))
    expect(names.filter((name) => /^checkpoint-\d+\.safetensors$/.test(name)).length).toBeGreaterThan(0)
    const lines = (await readFile(at('run', 'history.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number>)
    expect(lines.map(({ epoch }) => epoch)).toEqual([0, 1, 2])
    for (const name of ['loss', 'accuracy', 'valLoss', 'valAccuracy', 'lr']) expect(lines[0]).toHaveProperty(name)
    const report = await readFile(at('run', 'report.svg'), 'utf8')
    expect(report.match(/<image /g)).toHaveLength(16)
    expect(report).toContain('Confusion matrix')
  })

  it('evaluates, the last line being JSON', async () => {
    const { code, stdout, stderr } = await ferrograd(['evaluate', at('run'), '--data', at('squares'), '--json'])
    expect(code, stderr).toBe(0)
    const result = JSON.parse(stdout.trim().split('\n').at(-1) as string) as {
      accuracy: number
      loss: number
      samples: number
      classes: Record<string, number>
    }
    expect(result.samples).toBe(16)
    expect(result.accuracy).toBeGreaterThan(0.9)
    expect(result.loss).toBeGreaterThanOrEqual(0)
    expect(Object.keys(result.classes)).toEqual(['blue', 'red'])
    const all = await ferrograd(['evaluate', at('run'), '--data', at('others'), '--all', '--json'])
    expect(JSON.parse(all.stdout.trim().split('\n').at(-1) as string)).toMatchObject({ samples: 6 })
  })

  it('predicts files and folders', async () => {
    const { code, stdout, stderr } = await ferrograd(['predict', at('run'), at('others', 'red', '1.png'), at('others', 'blue')])
    expect(code, stderr).toBe(0)
    const lines = stdout.trim().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/1\.png {2,}red +\d+\.\d %$/)
    const json = await ferrograd(['predict', at('run', 'model.safetensors'), at('others', 'blue', '0.png'), '--json', '--top', '2'])
    const row = JSON.parse(json.stdout) as { class: string; probability: number; classes: { probability: number }[] }
    expect(row.class).toBe('blue')
    expect(row.classes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5)
    const none = await ferrograd(['predict', at('run')])
    expect([none.code, none.stderr]).toEqual([2, expect.stringMatching(/which images is missing/)])
    const foreign = await ferrograd(['predict', at('run'), '--file', 'a.txt'])
    expect([foreign.code, foreign.stderr]).toEqual([2, expect.stringMatching(/predict: --file has no meaning for images, which cnn reads/)])
    const broken = await ferrograd(['predict', at('run'), at('run', 'history.jsonl')])
    expect(broken.code).toBe(1)
    expect(broken.stderr).toMatch(/history\.jsonl: no image/)
    const png = await readFile(at('others', 'blue', '0.png'))
    await writeFile(at('trunc.png'), png.subarray(0, png.length - 40))
    const cut = await ferrograd(['predict', at('run'), at('trunc.png')])
    expect([cut.code, cut.stderr]).toEqual([1, `ferrograd: ${at('trunc.png')}: the PNG is cut off or damaged. Get it again, or leave it out.\n`])
  })

  it('does not write over a finished run unasked', async () => {
    const before = await hash(at('run', 'model.safetensors'))
    const again = await ferrograd([...train, '--data', at('squares'), '--size', '20', '--out', at('run')])
    expect(again.code).toBe(1)
    expect(again.stderr).toMatch(/run holds a finished run of 3 epochs\.\n {2}Train it longer with --resume --epochs 6, begin anew with --overwrite/)
    // Its checkpoints may have been removed to save room.
    await mkdir(at('bare'), { recursive: true })
    await writeFile(at('bare', 'model.safetensors'), await readFile(at('run', 'model.safetensors')))
    expect((await ferrograd([...train, '--data', at('squares'), '--size', '20', '--out', at('bare')])).stderr).toMatch(/bare holds a trained model\.\n {2}Replace it with --overwrite/)
    expect([await hash(at('run', 'model.safetensors')), await hash(at('bare', 'model.safetensors'))]).toEqual([before, before])
    const replaced = await ferrograd(['train', 'cnn', '--epochs', '1', '--data', at('squares'), '--size', '20', '--out', at('bare'), '--overwrite'])
    expect(replaced.code, replaced.stderr).toBe(0)
    expect(await hash(at('bare', 'model.safetensors'))).not.toBe(before)
  }, 300_000)

  it.runIf(process.platform === 'linux')('ends at a folder that the system does not make', async () => {
    const { code, stderr } = await ferrograd([...train, '--data', at('squares'), '--size', '20', '--out', '/proc/ferrograd'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^ferrograd: --out: \/proc\/ferrograd: the folder \/proc does not exist, or takes no new entries/)])
  })

  it('refuses other data, a foreign file and a damaged one', async () => {
    expect((await ferrograd(['evaluate', at('run'), '--data', 'digits'])).stderr).toMatch(/the model was trained on \[20, 20, 3\]/)
    const bytes = await readFile(at('run', 'model.safetensors'))
    await mkdir(at('damaged'), { recursive: true })
    await writeFile(at('damaged', 'model.safetensors'), bytes.subarray(0, bytes.length / 2))
    const damaged = await ferrograd(['predict', at('damaged'), at('others', 'blue')])
    expect(damaged.code).toBe(1)
    expect(damaged.stderr).toMatch(/model\.safetensors/)
  })

  it('trains other models, whose folders know which they are', async () => {
    const trained = await ferrograd(['train', 'lenet', '--data', at('squares'), '--size', '20', '--epochs', '6', '--batch-size', '8', '--out', at('lenet')])
    expect(trained.code, trained.stdout + trained.stderr).toBe(0)
    expect(await readFile(at('lenet', 'report.svg'), 'utf8')).toContain('<title>LeNet-5 on ')
    const evaluated = await ferrograd(['evaluate', at('lenet'), '--json'])
    expect((JSON.parse(evaluated.stdout.trim().split('\n').at(-1) as string) as { accuracy: number }).accuracy).toBeGreaterThan(0.9)
    const predicted = await ferrograd(['predict', at('lenet'), at('others', 'red', '1.png'), '--json'])
    expect((JSON.parse(predicted.stdout) as { class: string }).class).toBe('red')
    const other = await ferrograd(['train', 'mlp', '--out', at('lenet'), '--resume'])
    expect(other.code).toBe(1)
    expect(other.stderr).toMatch(/belongs to a run with other options:\n {2}model mlp, began with lenet\n/)
  }, 300_000)

  const options = ['--data', at('squares'), '--size', '20', '--augment']
  const checkpoints = async (name: string): Promise<string[]> =>
    (await readdir(at(name))).filter((file) => /^checkpoint-\d+\.safetensors$/.test(file)).sort()

  it('saves at Ctrl-C, and a resumed run ends as one that ran through', async () => {
    const stopped = await ferrograd([...train, ...options, '--out', at('stopped')], { signals: [{ at: 'Epoch 1/3', signal: 'SIGINT' }] })
    expect(stopped.code, stopped.stdout + stopped.stderr).toBe(130)
    expect(stopped.stderr).toMatch(/Saving a checkpoint \.\.\.[^]*Stopped\. Go on with: ferrograd train cnn --out .*stopped --resume/)
    expect(existsSync(at('stopped', 'model.safetensors'))).toBe(false)
    expect((await ferrograd(['predict', at('stopped'), 'a.png'])).stderr).toMatch(/there is no .*stopped.model\.safetensors\.\n {2}Its training was stopped; go on with: ferrograd train cnn --out .*stopped --resume/)
    expect((await checkpoints('stopped')).length).toBeGreaterThan(0)
    expect((await ferrograd([...train, ...options, '--out', at('stopped')])).stderr).toMatch(/Go on with --resume/)
    expect((await ferrograd(['train', 'cnn', '--seed', '5', '--out', at('stopped'), '--resume'])).stderr).toMatch(/--seed 5, began with 4/)
    const resumed = await ferrograd(['train', 'cnn', '--out', at('stopped'), '--resume'])
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0)
    expect(await hash(at('stopped', 'model.safetensors'))).toBe(await hash(at('run', 'model.safetensors')))
  }, 300_000)

  it('saves at SIGTERM in the midst of an epoch, and ends with 143', async () => {
    // The line comes before the first batch.
    const stopped = await ferrograd([...train, ...options, '--out', at('ended')], { signals: [{ at: 'parameters.', signal: 'SIGTERM' }] })
    expect(stopped.code, stopped.stdout + stopped.stderr).toBe(143)
    expect(stopped.stderr).toMatch(/Stopped\. Go on with/)
    expect((await checkpoints('ended')).length).toBe(1)
    const resumed = await ferrograd(['train', 'cnn', '--out', at('ended'), '--resume'])
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0)
    expect(await hash(at('ended', 'model.safetensors'))).toBe(await hash(at('run', 'model.safetensors')))
  }, 300_000)

  it('ends at once at a second signal, whose number counts; the checkpoint before it stays whole', async () => {
    const stopped = await ferrograd([...train, ...options, '--out', at('twice')], {
      signals: [
        { at: 'Epoch 2/3', signal: 'SIGINT' },
        { at: 'Saving a checkpoint', signal: 'SIGTERM' },
      ],
    })
    expect(stopped.code, stopped.stdout + stopped.stderr).toBe(143)
    expect(stopped.stderr).not.toMatch(/Stopped/)
    const [first] = await checkpoints('twice')
    expect(first).toBe('checkpoint-00000004.safetensors')
    const resumed = await ferrograd(['train', 'cnn', '--out', at('twice'), '--resume'])
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0)
    expect(await hash(at('twice', 'model.safetensors'))).toBe(await hash(at('run', 'model.safetensors')))
    expect((await readdir(at('twice'))).filter((name) => name.endsWith('.tmp'))).toEqual([])
  }, 300_000)

  it('ends at once before there is anything to save', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const stopped = await ferrograd([...train, ...options, '--out', at('early'), '--resume'], {
        signals: [{ at: 'training begins anew', signal }],
      })
      expect(stopped.code, stopped.stdout + stopped.stderr).toBe(code)
      expect(stopped.stderr).toBe('')
      expect(existsSync(at('early'))).toBe(false)
    }
  })

  it('stopped when training has ended, keeps the model; resumed, it writes the report', async () => {
    const stopped = await ferrograd([...train, ...options, '--out', at('late')], { signals: [{ at: 'Epoch 3/3', signal: 'SIGINT' }] })
    expect(stopped.code, stopped.stdout + stopped.stderr).toBe(130)
    expect(await hash(at('late', 'model.safetensors'))).toBe(await hash(at('run', 'model.safetensors')))
    expect(existsSync(at('late', 'report.svg'))).toBe(false)
    const resumed = await ferrograd(['train', 'cnn', '--out', at('late'), '--resume'])
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0)
    expect(existsSync(at('late', 'report.svg'))).toBe(true)
  }, 300_000)

  it('goes on with the size that the run began with, said or not', async () => {
    const out = at('sized')
    const resume = (...more: string[]): ReturnType<typeof ferrograd> => ferrograd(['train', 'cnn', '--out', out, '--resume', ...more])
    await ferrograd(['train', 'cnn', '--data', at('squares'), '--size', '20', '--epochs', '1', '--out', out])
    // As where the size was left out, and decided by the data.
    await editRun(out, ({ run }) => delete run.size)
    const other = await resume('--epochs', '2', '--size', '32', '--augment')
    expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/ {2}--augment, began without it\n {2}--size 32, began with 20\n {2}Leave them out/)])
    const same = await resume('--epochs', '2', '--size', '20')
    expect(same.code, same.stdout + same.stderr).toBe(0)
    await editRun(out, ({ run }) => delete run.size)
    const left = await resume('--epochs', '3')
    expect(left.code, left.stdout + left.stderr).toBe(0)
    const fewer = await resume('--epochs', '2')
    expect([fewer.code, fewer.stderr]).toEqual([2, expect.stringMatching(/--epochs 2 is less than the 3 epochs that the run in .*sized has trained/)])
    await editRun(out, ({ card }) => delete (card.config as Record<string, unknown>).imageSize)
    const without = await resume('--epochs', '4')
    expect([without.code, without.stderr]).toEqual([1, expect.stringMatching(/checkpoint-.*\.safetensors does not say what 'ferrograd train' needs to go on\.\n {2}Choose another folder/)])
  }, 300_000)

  it('does not go on with data of other classes', async () => {
    await writeSquares(at('changing'), 12)
    await ferrograd(['train', 'cnn', '--data', at('changing'), '--epochs', '1', '--out', at('changed')])
    await mkdir(at('changing', 'green'))
    await writeFile(at('changing', 'green', '0.png'), await readFile(at('changing', 'red', '0.png')))
    const { code, stderr } = await ferrograd(['train', 'cnn', '--out', at('changed'), '--resume', '--epochs', '2'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/changing is not what the run of .* began with:\n {2}now {4}.*classes:3.*; blue, green, red\n {2}before .*classes:2.*; blue, red\n {2}Bring back that data/)])
  }, 300_000)

  it('does not say that it can go on where the checkpoint could not be saved', async () => {
    const out = at('gone')
    const stopped = await ferrograd([...train, ...options, '--out', out], {
      signals: [{ at: 'parameters.', signal: 'SIGINT', before: `rmSync(${JSON.stringify(out)}, { recursive: true }); writeFileSync(${JSON.stringify(out)}, '')` }],
    })
    expect(stopped.code, stopped.stdout + stopped.stderr).toBe(1)
    expect(stopped.stderr).toMatch(/ferrograd: .*gone/)
    expect(stopped.stderr).not.toMatch(/Stopped/)
  })
})

describe('demo', () => {
  it('reads digits, and its model predicts a PNG in a new process', async () => {
    const { demo } = await import('../../ts/cli/demo.js')
    expect(await demo({ data: 'digits', out: at('demo') })).toBe(0)
    const { test } = await data.digits()
    const [pixels, labels] = [(await test.inputValues()) as Float32Array, await test.labelValues()]
    const wanted: string[] = []
    await mkdir(at('images'))
    for (let i = 0; i < 20; i++) {
      wanted.push(String(labels[i]))
      await writeFile(
        at('images', `${String(i).padStart(2, '0')}.png`),
        encodePng(
          Uint8Array.from(pixels.subarray(i * 1024, (i + 1) * 1024), (value) => Math.round(value * 255)),
          32,
          32,
          1,
        ),
      )
    }
    const { code, stdout, stderr } = await ferrograd(['predict', at('demo'), at('images'), '--json'])
    expect(code, stderr).toBe(0)
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { class: string })
    expect(rows.filter((row, i) => row.class === wanted[i]).length).toBeGreaterThanOrEqual(19)
    const evaluated = await ferrograd(['evaluate', at('demo'), '--data', 'digits', '--json'])
    expect((JSON.parse(evaluated.stdout.trim().split('\n').at(-1) as string) as { accuracy: number }).accuracy).toBeGreaterThanOrEqual(0.96)
  }, 300_000)
})
