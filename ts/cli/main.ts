import { describeError, say } from './console.js'
import { help, suggestion, UsageError } from './usage.js'

/** Commands by name. Each is loaded when it is called: `--help` needs no addon. */
const commands: Readonly<Record<string, () => Promise<(args: readonly string[]) => Promise<number>>>> = {
  train: async () => (await import('./train.js')).trainCommand,
  predict: async () => (await import('./predict.js')).predictCommand,
  evaluate: async () => (await import('./evaluate.js')).evaluateCommand,
  doctor: async () => (await import('./doctor.js')).doctorCommand,
}

/**
 * Runs the command line `ferrograd ...args`; gives the exit code: 0, 1 for a failure, 2 for a mistake in the command line, 130 after
 * Ctrl-C, 143 after SIGTERM. Never throws.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args
  try {
    if (['', '-h', '--help', 'help'].includes(name)) {
      const about = rest[0] ?? ''
      say((Object.hasOwn(help, about) ? help[about] : help['']) as string)
      return name === '' ? 2 : 0
    }
    if (name === '--version' || name === '-v') return await version()
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined) throw new UsageError(`there is no command '${name}'.${await suggestion(name, Object.keys(commands))} The commands are ${Object.keys(commands).join(', ')}.`)
    if (rest.includes('--help') || rest.includes('-h')) {
      say(help[name] as string)
      return 0
    }
    return await (
      await command()
    )(rest)
  } catch (error) {
    say(`ferrograd: ${describeError(error)}`, process.stderr)
    return error instanceof UsageError ? 2 : 1
  }
}

async function version(): Promise<number> {
  const { createRequire } = await import('node:module')
  say((createRequire(import.meta.url)('ferrograd/package.json') as { version: string }).version)
  return 0
}
