declare module 'pngjs' {
  interface Image {
    width: number
    height: number
    data: Uint8Array
  }
  const pngjs: { PNG: { sync: { read(bytes: Uint8Array): Image } } }
  export default pngjs
}
