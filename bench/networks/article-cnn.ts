import { nn } from 'ferrograd'

/** The article's CNN on 32x32 colour images: 122,570 parameters. */
export function articleCnn(): nn.Sequential {
  return new nn.Sequential(
    new nn.Conv2d(3, 32, 3), new nn.ReLU(), new nn.MaxPool2d(2),
    new nn.Conv2d(32, 64, 3), new nn.ReLU(), new nn.MaxPool2d(2),
    new nn.Conv2d(64, 64, 3), new nn.ReLU(), new nn.Flatten(),
    new nn.Linear(1024, 64), new nn.ReLU(), new nn.Linear(64, 10),
  )
}

/** Multiply-adds of one image's forward pass, two flops each. */
export const forwardFlops: number = 2 * (30 * 30 * 32 * 27 + 13 * 13 * 64 * 288 + 4 * 4 * 64 * 576 + 1024 * 64 + 64 * 10)
/** Of a training step: the gradients of inputs and weights, but none for the images. */
export const stepFlops: number = 3 * forwardFlops - 2 * 30 * 30 * 32 * 27
