// The order of the work of a worker: one piece after the other, so that newer messages are handled in between.
//
// Calls are answered in the order in which they arrive; checks wait until nothing else does.
import { EngineError } from './errors'
import { Mailbox } from './mailbox'
import type { Progress, Work } from './recording'
import {
  type Answer,
  begin,
  type Call,
  Engine,
  failure,
  isWork,
  type Message,
  type Port,
  type ProgressReport,
} from './worker'

/** Work is done for so long before newer messages are read. */
const TURN_MS = 8
const REPORT_MS = 100

interface Job {
  message: Call & { id: number }
  /** The work that has begun. */
  work: Work<unknown> | null
  /** Whether the work ends early, with what it has. */
  isEnough: boolean
  reported: number
}

/** Answer the messages of a port. */
export function serve(port: Port): (message: Message) => void {
  const engine = new Engine()
  const channel = new MessageChannel()
  let jobs: Job[] = []
  let working = false
  let mailbox: Mailbox | null = null
  const answerWith = (reply: Answer): void => {
    if (reply.ok && reply.value instanceof ArrayBuffer) mailbox?.put(reply.id, reply.value)
    port.postMessage(reply, reply.ok && reply.value instanceof ArrayBuffer ? [reply.value] : [])
  }
  const end = (job: Job, reply: Answer): void => {
    // What was cancelled while it was awaited is answered already.
    if (!jobs.includes(job)) return
    jobs = jobs.filter((other) => other !== job)
    answerWith(reply)
  }
  const report = (job: Job, progress: Progress): void => {
    const now = performance.now()
    if (now - job.reported < REPORT_MS) return
    job.reported = now
    port.postMessage({ id: job.message.id, progress } satisfies ProgressReport, [])
  }
  /** Work on a job until it ends or the turn does. */
  const turn = async (job: Job): Promise<void> => {
    const { id } = job.message
    try {
      if (!job.work) {
        const value = begin(engine, job.message)
        if (!isWork(value)) return end(job, { id, ok: true, value: await value })
        job.work = value
      }
      const start = performance.now()
      do {
        const piece = job.work.next(job.isEnough)
        if (piece.done) return end(job, { id, ok: true, value: piece.value })
        report(job, piece.value)
      } while (performance.now() - start < TURN_MS)
    } catch (error) {
      end(job, failure(id, error))
    }
  }
  const work = async (): Promise<void> => {
    const job = jobs.find(({ message }) => message.call !== 'check') ?? jobs[0]
    if (job) await turn(job)
    working = jobs.length > 0
    if (working) channel.port2.postMessage(null)
  }
  // A turn of the event loop lies between two turns of work, in which newer messages arrive.
  channel.port1.onmessage = () => void work()
  return (message) => {
    if ('mailbox' in message) return void (mailbox = new Mailbox(message.mailbox))
    if ('cancel' in message) {
      const job = jobs.find((other) => other.message.id === message.cancel)
      if (job) end(job, failure(message.cancel, new EngineError('SUPERSEDED')))
      return
    }
    if ('finish' in message) {
      for (const job of jobs) if (job.message.id === message.finish) job.isEnough = true
      return
    }
    jobs.push({ message, work: null, isEnough: false, reported: performance.now() })
    if (working) return
    working = true
    // A check waits for what may have arrived after it.
    if (message.call === 'check') channel.port2.postMessage(null)
    else void work()
  }
}
