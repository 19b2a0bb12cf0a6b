// What the options of `train` are where they are left out. Help shows them too, and so they stand apart from the models, which need the addon.

/** Options of every model. */
export interface Defaults {
  epochs: number
  batchSize: number
  lr: number
  optimizer: string
  validation: number
  autocast: boolean
  seed: number
}

const usual: Defaults = { epochs: 10, batchSize: 32, lr: 0.001, optimizer: 'adam', validation: 0.1, autocast: false, seed: 0 }

const otherwise: Readonly<Record<string, Partial<Defaults>>> = {
  lstm: { epochs: 4, validation: 0.2 },
  textcnn: { epochs: 4, batchSize: 50 },
  charrnn: { lr: 0.002 },
  tagger: { epochs: 20, lr: 0.005 },
  forecast: { epochs: 40, batchSize: 16, lr: 0.01 },
}

/** Those of a model; '' is any. */
export function defaultsOf(model: string): Defaults {
  return { ...usual, ...(Object.hasOwn(otherwise, model) ? otherwise[model] : {}) }
}
