export { ArticleCnn, cnn, type CnnOptions } from './cnn.js'
