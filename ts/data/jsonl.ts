// JSON lines: a value a line, read piece by piece.
import { FileFormatError } from '../index.js'
import { pieces } from './text-file.js'

/** One line. */
export interface JsonLine {
  value: unknown
  /** For messages: "line 3 of reviews.jsonl". */
  place: string
}

/** The values of a file of JSON lines, empty lines left out. @throws FileFormatError naming the line that is no JSON, and for a file without lines; as `pieces` */
export async function* jsonLines(operation: string, path: string, encoding?: string): AsyncGenerator<JsonLine, void, undefined> {
  let found = false
  for await (const { text, line } of pieces(operation, path, encoding)) {
    let at = line
    for (const one of text.split('\n')) {
      const place = `line ${at++} of ${path}`
      if (one.trim() === '') continue
      found = true
      yield { value: parsed(operation, one, place), place }
    }
  }
  if (!found) throw new FileFormatError(`${operation}: ${path} is empty.`, { op: operation })
}

function parsed(operation: string, line: string, place: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new FileFormatError(`${operation}: ${place} is not JSON.\n  A line is a JSON object such as {"text": "A great film.", "label": 1}.`, { op: operation, cause: error })
  }
}
