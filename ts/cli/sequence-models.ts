// The models for texts and sequences that the commands train, by name.
import { models } from '../index.js'
import { characters } from './tasks/characters.js'
import type { ModelRow } from './tasks/task.js'
import { type TextConfig, texts } from './tasks/texts.js'

export const sequenceModels: Readonly<Record<string, ModelRow>> = {
  lstm: {
    task: texts,
    title: 'LSTM',
    make: ({ vocabulary, classes }: TextConfig) => models.lstmClassifier({ vocabulary, outputs: classes }),
    defaults: { epochs: 4, validation: 0.2 },
  },
  textcnn: {
    task: texts,
    title: 'TextCNN',
    make: ({ vocabulary, classes }: TextConfig) => models.textCnn({ vocabulary, outputs: classes }),
    defaults: { epochs: 6, batchSize: 50 },
  },
  charrnn: {
    task: characters,
    title: 'Character RNN',
    make: ({ vocabulary }: { vocabulary: number }) => models.charRnn({ vocabulary }),
    defaults: { lr: 0.002 },
  },
}
