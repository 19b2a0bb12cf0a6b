// All models that the commands train, by name. A model's card holds the name and what `make` was given, so that it can be made again.
import { classifiers } from './classifiers.js'
import { sequenceModels } from './sequence-models.js'
import type { ModelRow } from './tasks/task.js'

export { type ModelRow }

export const catalogue: Readonly<Record<string, ModelRow>> = { ...classifiers, ...sequenceModels }

/** Their names, as a message lists them. */
export const modelNames: string = Object.keys(catalogue).join(', ')

/** The model of that name, or undefined; only own names count. */
export function modelNamed(name: string | undefined): ModelRow | undefined {
  return name !== undefined && Object.hasOwn(catalogue, name) ? catalogue[name] : undefined
}
