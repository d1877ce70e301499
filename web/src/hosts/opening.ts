// Requests what the first view of the local server needs, while the program of the page is loaded. It is a script of its
// own and small, so that it runs first; whatever it does not request, the program does.
import { sendEarly } from '../data/early-answers'
import type { Run } from '../data/run'
import type { RunList } from '../data/source'
import { languageAtStart } from '../messages/languages'
import { hasWeights, isWhole, layerOf, pictureRequest, signalOf } from '../model/first-request'
import { isHost } from './host-mark'

/** The fields of an address whose pictures take more than one request, or one that may be refused. */
const UNSUITABLE = ['hold', 'sets', 'against', 'checkpoint', 'stored'] as const

async function open(): Promise<void> {
  const query = new URLSearchParams(location.search)
  const language = languageAtStart(query)
  const list = (await (await sendEarly('/api/runs', language)).json()) as RunList
  const name = query.get('run')
  const summary = list.runs.find((run) => run.name === name)
  if (!summary || summary.state === 'unreadable' || !query.has('view')) return
  const path = `/api/runs/${encodeURIComponent(summary.name)}`
  const run = (await (await sendEarly(path, language)).json()) as Run
  if (UNSUITABLE.some((field) => query.has(field)) || !hasWeights(run)) return
  const layer = layerOf(run, query.get('layer') || null)
  const signal = layer && signalOf(run, layer, query.get('signal') || null)
  if (!layer || !signal) return
  const fragment = new URLSearchParams(location.hash.slice(1))
  const text = query.get('text') ?? fragment.get('text') ?? run.examples[0] ?? ''
  const request = pictureRequest(run, layer, signal, text, null)
  const neuron = Number(query.get('neuron') ?? 0)
  const detail = isWhole(layer, text) || !(neuron < layer.neurons) ? {} : { detail: neuron }
  void sendEarly(`${path}/trace`, language, { ...request, ...detail })
}

// A failure is reported by the page, which sends the request again.
if (!isHost('site')) open().catch(() => undefined)
