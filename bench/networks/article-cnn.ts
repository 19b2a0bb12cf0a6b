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
