import { describeError, say } from './console.js'
import { helpOn } from './help.js'
import { suggestion, UsageError } from './usage.js'

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
  const help = ['-h', '--help', 'help'].includes(args[0] ?? '')
  const [name = '', ...rest] = help ? args.slice(1) : args
  try {
    if (name === '') {
      say(helpOn())
      return help ? 0 : 2
    }
    if (name === '--version' || name === '-v') return await version()
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined) {
      const [kind, known] = name.startsWith('-') ? ['option', ['--help', '--version']] : ['command', Object.keys(commands)]
      throw new UsageError(`there is no ${kind} '${name}'.${await suggestion(name, known)} The commands are ${Object.keys(commands).join(', ')}.`)
    }
    if (help || rest.includes('--help') || rest.includes('-h')) {
      say(helpOn(name, rest))
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
