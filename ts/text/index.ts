/** Texts for training: cleaning, vocabularies, sequences of word ids. */
export { cleanText, type CleanOptions, type UnicodeForm } from './clean.js'
export { type Texts } from './chunks.js'
export { Vocabulary, type VocabularyOptions } from './vocabulary.js'
export { type Encoded, TextVectorizer, type VectorizerJSON, type VectorizerOptions } from './vectorizer.js'
