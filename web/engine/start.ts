// The script of the worker.
import { serve } from './schedule'
import type { Message, Port } from './worker'

const scope = self as unknown as Port & { onmessage: (event: { data: Message }) => void }
const receive = serve(scope)
scope.onmessage = ({ data }) => receive(data)
