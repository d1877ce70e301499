import { describe, expect, it } from 'vitest'
import { LIVE_FORMAT, LiveFile } from '../src/data/live-data'
import { TraceError } from '../src/data/safetensors'
import { text } from '../src/messages/text'

/** The container written down independently of its reader. */
function container(data: object, ...parts: number[][]): ArrayBuffer {
  const json = new TextEncoder().encode(JSON.stringify(data))
  const length = [...new Uint8Array(new BigUint64Array([BigInt(json.length)]).buffer)]
  return Uint8Array.from([...length, ...json, ...parts.flat()]).buffer
}

const empty = { format: LIVE_FORMAT, version: '1.2.3', runs: [], parts: [] }

function problem(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(TraceError)
    return (error as Error).message
  }
  throw new Error('nothing was refused')
}

describe('the data of a live file', () => {
  it('has each part where the list says, whatever characters the JSON has', () => {
    const data = { ...empty, version: '月</script>', parts: [[0, 2], [2, 0], [2, 3]] } // prettier-ignore
    const file = LiveFile.read(container(data, [7, 8], [9, 10, 11]))
    expect(file.data.version).toBe('月</script>')
    expect([0, 1, 2].map((part) => [...new Uint8Array(file.part(part))])).toEqual([[7, 8], [], [9, 10, 11]])
  })

  it('has runs by their names', () => {
    const runs = ['a', 'b'].map((name) => ({ run: { name } }))
    const file = LiveFile.read(container({ ...empty, runs }))
    expect(file.find('b')?.run.name).toBe('b')
    expect(file.find('toString')).toBeUndefined()
  })

  it('is refused if it is cut short, anywhere', () => {
    const whole = container({ ...empty, parts: [[0, 2], [2, 1]] }, [1, 2], [3]) // prettier-ignore
    LiveFile.read(whole)
    for (let bytes = 0; bytes < whole.byteLength; bytes++)
      expect(problem(() => LiveFile.read(whole.slice(0, bytes)))).toBe(text('LIVE_DATA_CUT_SHORT', { bytes }))
  })

  it('is refused if it is of another format, or no JSON', () => {
    const newer = container({ ...empty, format: LIVE_FORMAT + 1 })
    const expected = text('LIVE_DATA_FORMAT', { expected: LIVE_FORMAT, format: LIVE_FORMAT + 1 })
    expect(problem(() => LiveFile.read(newer))).toBe(expected)
    const damaged = container(empty)
    new Uint8Array(damaged)[8] = 0
    expect(problem(() => LiveFile.read(damaged))).toBe(text('LIVE_DATA_NOT_JSON'))
  })

  it.each([
    [null],
    [[]],
    ['text'],
    [{ ...empty, format: undefined }],
    [{ ...empty, format: '1' }],
    [{ ...empty, parts: undefined }],
    [{ ...empty, parts: [null] }],
    [{ ...empty, parts: [['a', 'b']] }],
    [{ ...empty, parts: [[0]] }],
    [{ ...empty, parts: [[-1, 1]] }],
    [{ ...empty, parts: [[0, 0.5]] }],
    [{ ...empty, runs: {} }],
    [{ ...empty, runs: [null] }],
    [{ ...empty, runs: [{ run: {} }] }],
  ])('is refused with one sentence if it is %j', (data) => {
    expect(problem(() => LiveFile.read(container(data as object)))).toBe(text('LIVE_DATA_DAMAGED'))
  })

  it('has no part that the list does not have', () => {
    const file = LiveFile.read(container({ ...empty, parts: [[0, 1]] }, [7]))
    for (const number of [1, -1, 0.5, 'length'])
      expect(problem(() => file.part(number as number))).toBe(text('LIVE_DATA_DAMAGED'))
  })
})
