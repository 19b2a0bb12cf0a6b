// Long loops on the JS thread let other work run in between.

/** How long synchronous work may go on before the event loop gets its turn, in milliseconds. */
const budget = 4

/** Gives a function that, awaited inside a long loop, lets the event loop take a turn whenever the budget is used up. */
export function turns(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < budget) return undefined
    return new Promise((resolve) =>
      setImmediate(() => {
        last = performance.now()
        resolve()
      }),
    )
  }
}
