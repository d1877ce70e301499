// Targets of texts that hold several sequences.
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../engine/errors'
import type { Network } from '../../engine/network'
import { answersOf } from '../../engine/text-targets'

/** A network that reads characters, of which ";" ends a sequence. */
function network(kind: 'classes' | 'numbers'): Network {
  const vocabulary = {
    end: ';',
    split: (text: string) => text.match(/[^;]*;|[^;]+$/g) ?? [],
    labels: (part: string) => [...part],
  }
  return {
    configuration: { vocabulary, readout: { kind, names: ['x', 'y'], reads: 'every step' } },
  } as unknown as Network
}

describe('the targets of a text', () => {
  it('belong to its sequences, one after the other', () => {
    const answers = answersOf(network('classes'), [
      { text: 'ab;c', target: [5, 6, 7, 8] },
      { text: 'd', target: [-1] },
    ])
    expect(['ab;', 'c', 'd', 'ab'].map((sequence) => answers(sequence))).toEqual([[5, 6, 7], [8], [-1], null])
  })

  it('are rows of numbers, NaN where they are unknown', () => {
    const value = [[1, null], [2, 3]] // prettier-ignore
    const answers = answersOf(network('numbers'), [{ text: 'a;', value }])
    expect(answers('a;')).toEqual([1, NaN, 2, 3])
  })

  it('are refused if the text has another number of steps', () => {
    for (const target of [
      [1, 2],
      [1, 2, 3, 4],
    ])
      // prettier-ignore
      expect(() => answersOf(network('classes'), [{ text: 'a;b', target }])).toThrow(EngineError)
  })
})
