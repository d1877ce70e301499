// A trace of the engine is the trace of the local server: the same arrays, shapes, types and metadata.
import { describe, expect, it } from 'vitest'
import { Recorder } from '../../engine/recording'
import { readTensors } from '../../engine/tensors'
import { checkRequest, encode, type TraceRequest } from '../../engine/wire'
import type { Network } from '../../engine/network'
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
  it('has every array of every trace of Python', () => {
    const network = openCase(about)
    const recorder = new Recorder(network)
    about.traces.forEach((request, k) => expect(compare(about, answer(network, recorder, request), k)).toEqual([]))
  })
})
