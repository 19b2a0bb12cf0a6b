import { nn } from 'ferrograd'

/** 784 inputs, two hidden layers, ten classes: 235,146 parameters. */
export function mlp(): nn.Sequential {
  return new nn.Sequential(new nn.Linear(784, 256), new nn.ReLU(), new nn.Linear(256, 128), new nn.ReLU(), new nn.Linear(128, 10))
}
