/** Whether less or more of a figure is better, by its name. */
export function modeOf(name: string): 'min' | 'max' {
  return /loss|mae|mse|error|gap/i.test(name) ? 'min' : 'max'
}
