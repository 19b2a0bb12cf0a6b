// What we use of fft.js, which comes without types.
declare module 'fft.js' {
  export default class FFT {
    constructor(size: number)
    /** Room for `size` complex numbers, real and imaginary parts in turns. */
    createComplexArray(): number[]
    /** The transform of real numbers, its first half. */
    realTransform(out: number[], data: readonly number[]): void
  }
}
