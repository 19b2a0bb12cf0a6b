// The models for texts and sequences that the commands train, by name.
import { models } from '../index.js'
import { characters } from './tasks/characters.js'
import { recordings, type SequenceConfig } from './tasks/recordings.js'
import { series } from './tasks/series.js'
import type { ModelRow } from './tasks/task.js'
import { type TextConfig, texts } from './tasks/texts.js'

export const sequenceModels: Readonly<Record<string, ModelRow>> = {
  lstm: {
    task: texts,
    title: 'LSTM',
    make: ({ vocabulary, classes }: TextConfig) => models.lstmClassifier({ vocabulary, outputs: classes }),
  },
  textcnn: {
    task: texts,
    title: 'TextCNN',
    make: ({ vocabulary, classes }: TextConfig) => models.textCnn({ vocabulary, outputs: classes }),
  },
  charrnn: {
    task: characters,
    title: 'Character RNN',
    make: ({ vocabulary }: { vocabulary: number }) => models.charRnn({ vocabulary }),
  },
  tagger: {
    task: recordings,
    title: 'Bidirectional LSTM',
    make: ({ inputs, classes }: SequenceConfig) => models.biLstmTagger({ inputs, hidden: 64, outputs: classes, pool: 'mean' }),
  },
  forecast: {
    task: series,
    title: 'Forecaster',
    make: ({ horizon }: { horizon: number }) => models.forecaster({ horizon }),
  },
}
