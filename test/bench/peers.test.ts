// What bench:peers says about its timings, without running a peer: statistics, the line of JSON, the comparison of results, the file of tensors.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { difference } from '../../bench/peers/compare.js'
import { json, line, resultOf } from '../../bench/peers/result.js'
import { median, medianInterval } from '../../bench/peers/statistics.js'
import { initial, integers, read, uniform, write } from '../../bench/peers/tensors.js'
import { workloads } from '../../bench/peers/workloads.js'

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

describe('median', () => {
  it('is the middle of the sorted values, or the mean of the middle two', () => {
    expect(median([10, 9, 100])).toBe(10)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(() => median([])).toThrow(RangeError)
  })

  it('leaves its argument as it was', () => {
    const values = [3, 1, 2]
    median(values)
    medianInterval(values)
    expect(values).toEqual([3, 1, 2])
  })
})

describe('the interval of a median', () => {
  // Ranks of the published tables of the sign test's 95 % interval.
  const ranks = [[6, 1, 6], [8, 1, 8], [9, 2, 8], [10, 2, 9], [15, 4, 12], [20, 6, 15], [25, 8, 18], [50, 18, 33], [100, 40, 61]] as const
  it.each(ranks)('of %i values goes from rank %i to %i', (n, low, high) => {
    expect(medianInterval(upTo(n).reverse())).toEqual([low, high])
  })

  it('does not exist for fewer than 6', () => {
    for (let n = 0; n < 6; n++) expect(medianInterval(upTo(n))).toBeNull()
  })

  it('holds the true median in 95 % of the cases', () => {
    let state = 1
    const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647
    let held = 0
    for (let round = 0; round < 4000; round++) {
      const [low, high] = medianInterval(Array.from({ length: 20 }, () => random() ** 3))!
      if (low <= 0.125 && 0.125 <= high) held++
    }
    expect(held / 4000).toBeGreaterThan(0.945)
    expect(held / 4000).toBeLessThan(0.975)
  })
})

describe('a result', () => {
  const subject = { name: 'cnn-b32', impl: 'torch', threads: 2, dtype: 'float32' }
  const times = upTo(20).map((i) => 10 + i / 10)
  const ours = times.map(() => 5)

  it('is one line of JSON with these keys', () => {
    const text = json(resultOf(subject, times, ours))
    expect(text.endsWith('}\n')).toBe(true)
    expect(text.indexOf('\n')).toBe(text.length - 1)
    expect(JSON.parse(text)).toEqual({
      name: 'cnn-b32', impl: 'torch', threads: 2, dtype: 'float32', minMs: 10.1, medianMs: 11.05, n: 20, ratio: 2.21, ci: [2.12, 2.3],
    })
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['name', 'impl', 'threads', 'dtype', 'minMs', 'medianMs', 'n', 'ratio', 'ci'])
  })

  it('takes the ratio pair by pair', () => {
    // The machine slows down threefold on the way: medians alone would hide that the peer takes twice as long throughout.
    const slowing = upTo(20).map((i) => i)
    expect(resultOf(subject, slowing.map((time) => 2 * time), slowing).ratio).toBe(2)
    expect(() => resultOf(subject, [1, 2], [1])).toThrow(/no pairs/)
  })

  it('of ours has the ratio 1; of too few pairs no interval', () => {
    expect(resultOf({ ...subject, impl: 'ferrograd' }, times)).toMatchObject({ ratio: 1, ci: [1, 1] })
    expect(resultOf(subject, [10, 11, 12], [5, 5, 5])).toMatchObject({ n: 3, ratio: 2.2, ci: null })
  })

  it('is readable', () => {
    const text = line(resultOf(subject, times, ours), resultOf({ ...subject, impl: 'ferrograd' }, ours))
    expect(text).toMatch(/torch +11\.1 ms \(best 10\.1\) +ferrograd 5\.00 ms \(best 5\.00\) +2\.21 x ours \[2\.12, 2\.30\] +20 pairs/)
  })
})

describe('the comparison of results', () => {
  it('allows the tolerance, as a share of the root mean square', () => {
    expect(difference([3, 4], [3.0001, 4], [1e-4])).toBeNull()
    expect(difference([3, 4], [3.01, 4], [1e-4])).toMatch(/value 0 is 3.01, ours is 3/)
  })

  it('has a tolerance for each value, the last for all further ones', () => {
    expect(difference([1, 1, 1], [1, 1.01, 1.01], [1e-4, 2e-2])).toBeNull()
    expect(difference([1, 1, 1], [1.01, 1, 1], [1e-4, 2e-2])).toMatch(/value 0/)
  })

  it('refuses NaN and other lengths', () => {
    expect(difference([1], [NaN], [1])).toMatch(/NaN/)
    expect(difference([1, 2], [1], [1])).toMatch(/1 values, ours are 2/)
  })
})

describe('tensors for all', () => {
  it('come from their names alone, and survive the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ferrograd-peers-'))
    const tensors = {
      'model.0.weight': initial('0.weight', [4, 3, 3, 2]), 'labels.0': integers('labels.0', [5], 10), 'inputs.0': uniform('inputs.0', [5, 3], 0, 1),
    }
    write(join(folder, 'work.safetensors'), tensors)
    expect(read(join(folder, 'work.safetensors'))).toEqual(tensors)
    rmSync(folder, { recursive: true })
    expect(initial('0.weight', [4, 3, 3, 2])).toEqual(tensors['model.0.weight'])
    expect(uniform('inputs.1', [5, 3], 0, 1)).not.toEqual(tensors['inputs.0'])
  })
})

describe('the table of workloads', () => {
  const names = workloads.map(({ name }) => name)

  it('has each name once', () => {
    expect(new Set(names).size).toBe(names.length)
  })

  it('has the names that figures are published under', () => {
    for (const name of ['cnn-b32', 'cnn-b128', 'mlp-b64', 'resnet18-b64', 'densenet-b64', 'cnn-infer-b1', 'lstm-s80', 'lstm-s200-norec', 'lstm-s200-bf16', 'lstm-stream', 'gemm-1024-nt-bf16', 'conv-32x32x64-weights']) {
      expect(names).toContain(name)
    }
  })

  it('makes operands that change from call to call', () => {
    const { 'a.0': first, 'a.1': second } = workloads.find(({ name }) => name === 'gemm-256')!.tensors()
    expect(first!.data).not.toEqual(second!.data)
  })
})
