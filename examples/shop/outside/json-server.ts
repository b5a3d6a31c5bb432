// A few lines of node:http for the programs that stand outside the system and know nothing of Banyan.
import { createServer, type IncomingMessage } from 'node:http'

export interface Question {
  method: string
  path: string
  key: string | undefined
  body: Record<string, unknown>
}

export interface Answer {
  status: number
  body: unknown
}

/** Serves JSON on PORT of 127.0.0.1 and tells the parent, if there is one, when it listens. Ends with its parent. */
export function jsonServer(name: string, answer: (question: Question) => Promise<Answer>): void {
  const server = createServer(async (request, response) => {
    const { status, body } = await read(request).then(answer).catch(complain)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  })
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    if (process.send) process.send({ ready: true })
    else console.log(`${name} listens on http://127.0.0.1:${port}`)
  })
  const end = () => process.exit(0)
  process.on('SIGTERM', end)
  process.on('SIGINT', () => {
    // The terminal tells everybody; the parent decides when.
    if (!process.send) end()
  })
  process.on('disconnect', end)
}

async function read(request: IncomingMessage): Promise<Question> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  const key = request.headers['idempotency-key']
  return {
    method: request.method ?? 'GET',
    path: new URL(request.url ?? '/', 'http://localhost').pathname,
    key: typeof key === 'string' ? key : undefined,
    body: text ? JSON.parse(text) : {},
  }
}

function complain(error: unknown): Answer {
  return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } }
}
