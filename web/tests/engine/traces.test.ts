// A trace of the engine is the trace of the local server: the same arrays, shapes, types and metadata.
import { describe, expect, it, vi } from 'vitest'
import { finished, Recorder } from '../../engine/recording'
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
  for (const name of ['labels', 'unknown', 'tolerance', 'step'])
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
          expect(difference(ours!.tensors.get(name)!.data, data), `${name} of ${text}`).toBe(0)
        for (const name of ['labels', 'unknown', 'step']) expect(ours!.metadata[name]).toBe(theirs!.metadata[name])
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

describe('work that was given up', () => {
  it.each(['plain', 'native'] as const)('leaves only steps that are right, by %s', (engine) => {
    const network = openCase(
      INDEX.cases.find(({ case: name }) => name === 'lstm/characters')!,
      {
        kernels: KERNELS[engine],
      },
    )
    // Many pieces of a few steps each.
    vi.spyOn(network, 'productsOfStep', 'get').mockReturnValue(1 << 24)
    const texts = ['abbaabab\nabba', 'abbaabab\nabb', 'abbab', 'bbb\nabba', 'abbaabab\nabbab']
    const recorder = new Recorder(network)
    for (const [k, text] of texts.entries())
      for (const pieces of [0, 1, 2, 3]) {
        const work = recorder.recordInPieces(text)
        for (let piece = 0; piece < pieces; piece++) work.next()
        work.return({ sequences: [], unknown: [], engines: [] })
        const next = texts[(k + 1 + pieces) % texts.length]!
        const [ours, theirs] = [recorder, new Recorder(network)].map((by) =>
          readTensors(answer(network, by, { text: next })),
        )
        expect(ours!.tensors, `${next} after ${pieces} pieces of ${text}`).toEqual(theirs!.tensors)
        expect(finished(recorder.check())).toEqual(finished(checkOf(network, next)))
      }
  })

  /** The check of a text that was typed at once. */
  function checkOf(network: Network, text: string): ReturnType<Recorder['check']> {
    const recorder = new Recorder(network)
    recorder.record(text)
    return recorder.check()
  }

  it('ends as soon as another text is recorded', () => {
    const network = openCase(INDEX.cases.find(({ case: name }) => name === 'lstm/characters')!)
    vi.spyOn(network, 'productsOfStep', 'get').mockReturnValue(1 << 26)
    const recorder = new Recorder(network)
    const [first, check] = [recorder.recordInPieces('abba'), (recorder.record('ab'), recorder.check())]
    check.next()
    recorder.record('bb')
    expect(() => finished(check)).toThrow('SUPERSEDED')
    first.next()
    recorder.record('b')
    expect(() => finished(first)).toThrow('SUPERSEDED')
  })
})

it('the neuron of the panel is that of a request of its own', () => {
  const about = INDEX.cases.find(({ case: name }) => name === 'lstm/characters')!
  const network = openCase(about, { kernels: KERNELS.native })
  const recorder = new Recorder(network)
  const { text } = about.traces[0]!
  const bytes = (request: Partial<TraceRequest>): Map<string, unknown> => {
    const checked = checkRequest(network, { text, signals: ['c'], ...request })
    return readTensors(encode(network, recorder.record(text), checked, '')).tensors
  }
  const [both, strips, own] = [
    bytes({ detail: 1 }),
    bytes({}),
    bytes({ signals: null, neurons: [1], drives: true }),
  ] as const
  for (const [name, tensor] of strips) expect(both.get(name)).toEqual(tensor)
  const ofLayer = [...own].filter(([name]) => name.includes('.'))
  for (const [name, tensor] of ofLayer) expect(both.get(`detail.${name}`), name).toEqual(tensor)
  expect(both.size).toBe(strips.size + ofLayer.length)
})
