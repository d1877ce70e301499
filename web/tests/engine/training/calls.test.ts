// The worker trains: a start, stretches of updates with their progress, and traces of the weights that are shown.
import { beforeEach, expect, it } from 'vitest'
import { readTensors } from '../../../engine/tensors'
import type { Progress, TrainRequest } from '../../../engine/training/calls'
import type { Resumption } from '../../../engine/training/resumption'
import { answer, Engine } from '../../../engine/worker'
import { plainBytes } from '../kernel-problems'
import { bundleJson } from './fixtures'

let engine: Engine
let id = 0

async function ask(request: TrainRequest | unknown): Promise<{ value?: unknown; code?: string }> {
  return answer(engine, { id: id++, call: 'train', run: 'play', request } as never)
}

async function progressOf(request: TrainRequest): Promise<Progress> {
  const { value, code } = await ask(request)
  expect(code).toBe(undefined)
  return value as Progress
}

/** Return the hidden states of the network that traces show. */
async function traced(): Promise<unknown> {
  const request = { text: 'aaX', layer: 'layer0' }
  const reply = await answer(engine, { id: id++, call: 'trace', run: 'play', request } as never)
  if (!reply.ok) throw new Error(reply.code)
  return readTensors(reply.value as ArrayBuffer).tensors
}

beforeEach(async () => {
  engine = new Engine()
  const relaxed = plainBytes.slice().buffer
  await answer(engine, { id: id++, call: 'kernels', plain: plainBytes.slice().buffer, relaxed })
})

it('answers with the progress since the answer before', async () => {
  const start: TrainRequest = { action: 'start', bundle: bundleJson('counter'), seed: 4 }
  expect(await progressOf(start)).toMatchObject({ step: 0, steps: 2000, ended: null, entries: [], checkpoints: [0] })
  const first = await progressOf({ action: 'advance', updates: 25 })
  expect(first).toMatchObject({ step: 25, checkpoints: [0, 10, 20], best: null })
  expect(first.entries.map(({ step }) => step)).toEqual([10, 20])
  expect((await progressOf({ action: 'advance' })).step).toBe(26)
  const second = await progressOf({ action: 'advance', updates: 10 })
  expect(second.entries.map(({ step }) => step)).toEqual([30])
  const timed = await progressOf({ action: 'advance', milliseconds: 1 })
  expect(timed.step).toBeGreaterThan(36)
  expect(timed.seconds).toBeGreaterThan(0)
})

it('traces show the weights of the present, of a checkpoint and of the start', async () => {
  const start: TrainRequest = { action: 'start', bundle: bundleJson('counter'), seed: 4 }
  await progressOf(start)
  const initial = await traced()
  await progressOf({ action: 'advance', updates: 20 })
  const trained = await traced()
  expect(trained).not.toEqual(initial)
  await progressOf({ action: 'show', step: 0 })
  expect(await traced()).toEqual(initial)
  expect((await progressOf({ action: 'advance', updates: 1 })).step).toBe(21)
  expect(await traced()).not.toEqual(trained)
  await progressOf(start) // over again: the same seed, the same weights
  expect(await traced()).toEqual(initial)
  await progressOf({ action: 'advance', updates: 20 })
  expect(await traced()).toEqual(trained)
})

it('gives the bytes of the weights', async () => {
  await progressOf({ action: 'start', bundle: bundleJson('counter') })
  await progressOf({ action: 'advance', updates: 10 })
  const { value } = await ask({ action: 'weights', step: 'present' })
  expect(readTensors(value as ArrayBuffer).metadata).toEqual({ step: '10' })
  expect((await ask({ action: 'weights', step: 'best' })).code).toBe('TRAINING_CHECKPOINT_MISSING')
  expect((await ask({ action: 'show', step: 3 })).code).toBe('TRAINING_CHECKPOINT_MISSING')
})

it.each([
  ['TRAINING_NOT_STARTED', { action: 'advance' }],
  ['BUNDLE_INVALID', { action: 'start', bundle: null }],
  ['TRAINING_NOT_STARTED', { action: 'dance' }],
])('refuses with %s', async (code, request) => {
  expect((await ask(request)).code).toBe(code)
})

it('refuses an amount of nothing', async () => {
  await progressOf({ action: 'start', bundle: bundleJson('counter') })
  expect((await ask({ action: 'advance', updates: 0 })).code).toBe('TRAINING_AMOUNT_INVALID')
  expect((await ask({ action: 'advance', milliseconds: NaN })).code).toBe('TRAINING_AMOUNT_INVALID')
})

it('trains by the plain engine before the kernels are loaded, and says so', async () => {
  const start: TrainRequest = { action: 'start', bundle: bundleJson('counter') }
  expect((await progressOf(start)).engine).toMatch(/^browser-native/)
  engine = new Engine()
  expect((await progressOf(start)).engine).toBe('browser-plain')
  expect((await progressOf({ action: 'advance' })).step).toBe(1)
})

it('begins with given weights, which are checked', async () => {
  const start: TrainRequest = { action: 'start', bundle: bundleJson('counter'), seed: 4 }
  await progressOf(start)
  await progressOf({ action: 'advance', updates: 12 })
  const weights = (await ask({ action: 'weights', step: 'present' })).value as ArrayBuffer
  const trained = await traced()
  expect(await progressOf({ ...start, weights })).toMatchObject({ step: 0, entries: [] })
  expect(await traced()).toEqual(trained)
  expect((await ask({ ...start, weights: weights.slice(0, -8) })).code).toBe('TENSOR_CUT_SHORT')
  const other: TrainRequest = { action: 'start', bundle: bundleJson('copy'), weights }
  expect((await ask(other)).code).toBe('WEIGHT_SHAPE_WRONG')
})

it('returns what Python resumes from', async () => {
  await progressOf({ action: 'start', bundle: bundleJson('counter'), seed: 4 })
  const begun = (await ask({ action: 'resumption' })).value as Resumption
  expect(begun.progress).toMatchObject({ step: 0, symbols: 0, best: null })
  expect([...readTensors(begun.arrays).tensors]).toEqual([])
  await progressOf({ action: 'advance', updates: 103 })
  const { progress, arrays } = (await ask({ action: 'resumption' })).value as Resumption
  expect(progress).toMatchObject({ step: 103, since_best: 0, diverged_in_a_row: 0 })
  expect(progress.targets).toBeGreaterThan(0)
  expect(progress.best?.length).toBe(2)
  const { tensors } = readTensors(arrays)
  expect(tensors.get('optimizer.0.step')).toEqual({ shape: [], data: Float32Array.of(103) })
  expect(tensors.get('optimizer.0.exp_avg')?.shape).toEqual([4, 10])
  expect(tensors.get('optimizer.3.exp_avg_sq')?.shape).toEqual([4, 10, 4])
})

it('answers which lengths are right, for the weights of any checkpoint', async () => {
  await progressOf({ action: 'start', bundle: bundleJson('counter'), seed: 4 })
  await progressOf({ action: 'advance', updates: 20 })
  const levels = async (step: number | 'present'): Promise<unknown> => {
    const { value, code } = await ask({ action: 'levels', step, most: 20 })
    expect(code).toBe(undefined)
    return value
  }
  const untrained = (await levels(0)) as { level: number; right: number; strings: number }[]
  expect(untrained.map(({ level }) => level)).toEqual(Array.from({ length: 20 }, (_, k) => k + 1))
  expect(untrained.every(({ right, strings }) => strings === 1 && right <= 1)).toBe(true)
  expect(await levels(20)).toEqual(await levels('present'))
  expect(await ask({ action: 'levels', step: 7, most: 20 })).toMatchObject({ code: 'TRAINING_CHECKPOINT_MISSING' })
})
