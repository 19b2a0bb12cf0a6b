// The ops with a row in autocast's table that layers call, as functions that follow it. Layers check their arguments themselves, and do without the
// checks that users' functions have.
import { following } from '../autocast.js'
import * as ops from '../ops/index.js'

export const linear: typeof ops.linear = following('linear', ops.linear)
export const conv1d: typeof ops.conv1d = following('conv1d', ops.conv1d)
export const conv2d: typeof ops.conv2d = following('conv2d', ops.conv2d)
export const conv2dPool: typeof ops.conv2dPool = following('conv2dPool', ops.conv2dPool)
export const convTranspose2d: typeof ops.convTranspose2d = following('convTranspose2d', ops.convTranspose2d)
export const lstm: typeof ops.lstm = following('lstm', ops.lstm)
export const gru: typeof ops.gru = following('gru', ops.gru)
export const rnn: typeof ops.rnn = following('rnn', ops.rnn)
export const ctcLoss: typeof ops.ctcLoss = following('ctcLoss', ops.ctcLoss)
export const batchNorm: typeof ops.batchNorm = following('batchNorm', ops.batchNorm)
export const groupNorm: typeof ops.groupNorm = following('groupNorm', ops.groupNorm)
export const layerNorm: typeof ops.layerNorm = following('layerNorm', ops.layerNorm)
export const softmax: typeof ops.softmax = following('softmax', ops.softmax)
export const logSoftmax: typeof ops.logSoftmax = following('logSoftmax', ops.logSoftmax)
export const softplus: typeof ops.softplus = following('softplus', ops.softplus)
export const cosineSimilarity: typeof ops.cosineSimilarity = following('cosineSimilarity', ops.cosineSimilarity)
