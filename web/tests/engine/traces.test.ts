// A trace of the engine is the trace of the local server: the same arrays, shapes, types and metadata.
import { describe, expect, it, vi } from 'vitest'
import { Recorder } from '../../engine/recording'
import { readTensors } from '../../engine/tensors'
import { checkRequest, encode, type TraceRequest } from '../../engine/wire'
import type { Network } from '../../engine/network'
import { KERNELS } from './engines'
import { bytesOf, type Case, difference, INDEX, openCase } from './fixtures'

function answer(network: Network, recorder: Recorder, request: TraceRequest): ArrayBuffer {
  const checked = checkRequest(network, { ...request, drives: true, top: 4 })
  return encode(network, recorder.record(checked.text, checked.interventions), checked, 'browser-plain')
}

function compare(about: Case, bytes: ArrayBuffer, k: number): string[] {
  const [ours, theirs] = [readTensors(bytes), readTensors(bytesOf(about, `trace${k}`))]
  const wrong: string[] = []
  expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort())
  for (const [name, { shape, data }] of theirs.tensors) {
    const { shape: ownShape, data: own } = ours.tensors.get(name)!
    const off = difference(own, data)
    const exact = !(data instanceof Float32Array)
    if (String(shape) !== String(ownShape) || own.constructor !== data.constructor) wrong.push(`${name}: shape or type`)
    if (!(off <= (exact ? 0 : 1e-5))) wrong.push(`${name}: ${off}`)
  }
  for (const name of ['labels', 'unknown', 'holds', 'tolerance', 'step'])
    expect(JSON.parse(ours.metadata[name]!), name).toEqual(JSON.parse(theirs.metadata[name]!))
  return wrong
}

describe.each(INDEX.cases.map((about) => [about.case, about] as const))('%s', (_, about) => {
  it.each(['plain', 'native', 'relaxed'] as const)('has every array of every trace of Python, by %s', (engine) => {
    const network = openCase(about, { kernels: KERNELS[engine] })
    const recorder = new Recorder(network)
    about.traces.forEach((request, k) => expect(compare(about, answer(network, recorder, request), k)).toEqual([]))
  })
})

/** Return texts that a reader could type one after the other: letters more, letters fewer, and changes in the middle. */
function edits(text: string): string[] {
  const letters = Array.from(text)
  const half = Math.floor(letters.length / 2)
  const without = (k: number): string => [...letters.slice(0, k), ...letters.slice(k + 1)].join('')
  return [
    ...[1, half, letters.length - 1].map((count) => letters.slice(0, count).join('')),
    text,
    without(half),
    text + text,
    '',
    letters.slice(half).join(''),
    text,
  ]
}

/** Return whether a text holds whole steps: half a number, or a line with half of its numbers, does not. */
function isReadable({ configuration: { vocabulary } }: Network, text: string): boolean {
  try {
    vocabulary.encode(text)
    return true
  } catch {
    return false
  }
}

describe.each(INDEX.cases.map((about) => [about.case, about] as const))('%s', (_, about) => {
  it.each(['plain', 'native'] as const)('has the same trace whatever was typed before, by %s', (engine) => {
    const network = openCase(about, { kernels: KERNELS[engine] })
    const layer = network.configuration.names.at(-1)!
    const changes = [
      [],
      [{ layer, signal: 'h', neuron: 0, steps: { start: 2 }, shift: 0.5 }],
      [{ layer, signal: 'h', neuron: 1, steps: -1, shift: 0.5 }],
      [{ layer, signal: 'h', neuron: 1, row: 0, scale: 2 }],
    ]
    const recorder = new Recorder(network)
    for (const interventions of changes)
      for (const text of edits(about.traces[0]!.text).filter((text) => isReadable(network, text))) {
        const request = { text, layer, interventions }
        const [ours, theirs] = [recorder, new Recorder(network)].map((by) => readTensors(answer(network, by, request)))
        for (const [name, { data }] of theirs!.tensors)
          expect(difference(ours!.tensors.get(name)!.data, data), `${name} of ${text}`).toBeLessThanOrEqual(1e-6)
        for (const name of ['labels', 'unknown', 'holds', 'step'])
          expect(ours!.metadata[name]).toBe(theirs!.metadata[name])
      }
  })
})

describe('what a text shares with the text before', () => {
  /** Return the numbers of steps that are run for each of some texts, typed one after the other. */
  function stepsRun(name: string, texts: string[]): number[][] {
    const network = openCase(INDEX.cases.find((about) => about.case === name)!)
    const run = vi.spyOn(network, 'run')
    const recorder = new Recorder(network)
    return texts.map((text) => {
      run.mockClear()
      recorder.record(text)
      return run.mock.calls.map(([inputs]) => inputs.steps)
    })
  }

  it('is not run again: an appended letter costs one step', () => {
    expect(stepsRun('lstm/characters', ['abba', 'abbab', 'abbab', 'abab', 'ab'])).toEqual([[4], [1], [], [2], []])
  })

  it('is not run again: only the sequence that changes is', () => {
    const texts = ['ab\nba\naa', 'ab\nbb\naa', 'b\nab\nbb\naa', 'b\nab\naa']
    expect(stepsRun('lstm/characters', texts)).toEqual([[3, 3, 2], [2], [2], []])
  })

  it('is run again if the network reads from the end', () => {
    expect(stepsRun('lstm/tokens', ['x y', 'x y x', 'x y x'])).toEqual([[2], [3], []])
  })
})
