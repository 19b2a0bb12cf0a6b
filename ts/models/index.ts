export { BiLstmTagger, biLstmTagger, type BiLstmTaggerOptions, type Pool, type SequenceInputs } from './bi-lstm-tagger.js'
export { CharRnn, charRnn, type CharRnnOptions, type CharRnnStates, type GenerateOptions } from './char-rnn.js'
export { ArticleCnn, cnn, type CnnOptions } from './cnn.js'
export { DenseNet, densenet, densenet121, type DenseNetOptions } from './densenet.js'
export { Forecaster, forecaster, type ForecasterOptions } from './forecaster.js'
export { LeNet, lenet, type LeNetOptions } from './lenet.js'
export { LstmClassifier, lstmClassifier, type LstmClassifierOptions, type TextInputs } from './lstm-classifier.js'
export { Mlp, mlp, type MlpOptions } from './mlp.js'
export {
  BasicBlock, Bottleneck, ResNet, resnet18, resnet20, resnet34, resnet50, resnet56, type ResNetDepth, type ResNetOptions,
} from './resnet.js'
export { Seq2Seq, seq2seq, type AttentionScore, type Seq2SeqInputs, type Seq2SeqOptions } from './seq2seq.js'
export { TextCnn, textCnn, type TextCnnOptions, type WordVectors } from './text-cnn.js'
export { VggSmall, vggSmall, type VggSmallOptions } from './vgg.js'
