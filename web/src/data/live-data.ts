// The data of a live file: one container, written by `gatescope export RUN FILE.html` and read by this page.
//
//     8 bytes            length J of the JSON, little-endian
//     J bytes            the JSON of LiveData, UTF-8
//     the rest           the parts, one after the other; LiveData.parts says where each one lies
//
// Every part is a file in the safetensors layout. The HTML file holds the container, compressed with gzip and written in
// base64, in `<script type="application/json" id="gatescope-data">`. In the same way, elements of any non-script type hold
// what a server would answer: `gatescope-worker` (worker.js), `gatescope-kernels` (kernels.wasm) and
// `gatescope-kernels-relaxed` (kernels-relaxed.wasm). The page's own script, explorer.js, runs once all of them exist.
import type { TextTargets } from '../../engine/text-targets'
import { text } from '../messages/text'
import type { Star } from './acts'
import type { Finding } from './findings'
import type { Run } from './run'
import { TraceError } from './safetensors'
import type { StudyRequest } from './study'

export const LIVE_FORMAT = 1

/** The number of a part in `LiveData.parts`. */
export type Part = number

export interface LiveData {
  format: typeof LIVE_FORMAT
  /** The version of gatescope that wrote the file. */
  version: string
  /** The runs, in the order of the gallery. */
  runs: LiveRun[]
  /** The view that the file opens with; missing if it opens with the page of its run. */
  start?: { address: string; text: string | null }
  /** The first byte of each part, counted from the end of the JSON, and its number of bytes. */
  parts: [offset: number, bytes: number][]
}

export interface LiveRun {
  /** What GET /api/runs/NAME answers, without paths. Without text, `examples`, `example` and `samples` are empty. */
  run: Run
  /** network.json. */
  network: unknown
  /** weights.safetensors; the numbers may be float16, which is widened when it is read. Null for a run without weights. */
  weights: Part | null
  /** The weights of earlier training steps, in ascending order; `run.checkpoints` lists the same steps. */
  checkpoints: { step: number; weights: Part }[]
  /** The tables that Python computed. */
  studies: LiveStudy[]
  /** What was measured about the run; a file of an older version has none. */
  findings?: Finding[]
  /** The views that somebody kept, if they were exported; a file of an older version has none. */
  stars: Star[] | undefined
  /** Features of the examples. */
  features: LiveFeatures[]
  /** The targets of the examples, for tasks whose targets are not the next symbol. */
  targets: TextTargets[]
  /** task.json and training.json, for `gatescope adopt FILE.html`. A task with files is one of an adopted network. */
  task: unknown
  training: unknown
}

/** A run that the page has trained; weights are the bytes of weights.safetensors. */
export interface TrainedRun {
  run: Run
  network: unknown
  weights: ArrayBuffer
  checkpoints: { step: number; weights: ArrayBuffer }[]
}

/** A study and its answer: the `result` of POST /api/runs/NAME/study. Studies of a whole run name only `study`. */
export interface LiveStudy {
  request: StudyRequest
  result: unknown
  /** Whether the weights have changed since. */
  stale: boolean
}

/** What POST /api/runs/NAME/features answers for one text; its list of features names those that have a track. */
export interface LiveFeatures {
  text: string
  tracks: Part
}

/** The data of a live file, with access to its parts. */
export class LiveFile {
  constructor(
    readonly data: LiveData,
    private readonly bytes: ArrayBuffer,
    private readonly base: number,
  ) {}

  /**
   * Read the container of a live file.
   *
   * @throws TraceError if the container is damaged or was written by a newer version
   */
  static read(bytes: ArrayBuffer): LiveFile {
    const length = bytes.byteLength < 8 ? Infinity : Number(new DataView(bytes).getBigUint64(0, true))
    if (8 + length > bytes.byteLength) throw new TraceError(text('LIVE_DATA_CUT_SHORT', { bytes: bytes.byteLength }))
    let data: Partial<LiveData> | null
    try {
      const json = new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bytes, 8, length))
      data = JSON.parse(json) as Partial<LiveData> | null
    } catch {
      throw new TraceError(text('LIVE_DATA_NOT_JSON'))
    }
    if (typeof data?.format === 'number' && data.format !== LIVE_FORMAT)
      throw new TraceError(text('LIVE_DATA_FORMAT', { expected: LIVE_FORMAT, format: data.format }))
    if (!isLiveData(data)) throw new TraceError(text('LIVE_DATA_DAMAGED'))
    const base = 8 + length
    for (const [offset, size] of data.parts)
      if (base + offset + size > bytes.byteLength)
        throw new TraceError(text('LIVE_DATA_CUT_SHORT', { bytes: bytes.byteLength }))
    return new LiveFile(data, bytes, base)
  }

  /** Return a copy of the bytes of a part. Throws a TraceError if there is no such part. */
  part(number: Part): ArrayBuffer {
    const place = Number.isInteger(number) ? this.data.parts[number] : undefined
    if (!place) throw new TraceError(text('LIVE_DATA_DAMAGED'))
    const [offset, size] = place
    return this.bytes.slice(this.base + offset, this.base + offset + size)
  }

  /** Return a run by its name; undefined if the file does not have it. */
  find(name: string): LiveRun | undefined {
    return this.data.runs.find(({ run }) => run.name === name)
  }
}

/** Whether a JSON value has the format of live data, runs with names, and a place for each part. */
function isLiveData(data: Partial<LiveData> | null): data is LiveData {
  const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
  const isPlace = (place: unknown): boolean => Array.isArray(place) && place.length === 2 && place.every(isSize)
  const isRun = (entry: Partial<LiveRun> | null): boolean => typeof entry?.run?.name === 'string'
  return (
    data?.format === LIVE_FORMAT &&
    Array.isArray(data.parts) &&
    data.parts.every(isPlace) &&
    Array.isArray(data.runs) &&
    data.runs.every(isRun)
  )
}
