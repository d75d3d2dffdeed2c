// Package origin puts Fanout in front of a server of your own: a Proxy finds the
// route of a request, forwards it signed, and gives the engine what the origin
// says should become of the connection.
//
//	client ──► Proxy ──► engine ──Request──► backend ──HTTP──► origin
//	                       ▲                    │  ◄── response with Grip-* ──┘
//	                       └─Response{Instruct}─┘
//
// A backend is the fanout.SocketHandler of one route. It forwards requests and
// streams bodies both ways, reads instructions from Grip-* headers and from
// application/grip-instruct bodies, resolves next and gone links, speaks
// WebSocket-over-HTTP to targets with over_http and WebSocket to the others.
// Routes have Pushpin's syntax; the contract is grip.md, whose sections the
// comments name.
//
// What it promises: an origin that is down, slow or lying costs its own clients
// an answer and nobody else anything. Each response header, buffered body, event
// body and WebSocket message has a bound, each wait a limit, and no goroutine
// outlives the socket it reads for.
//
// What it does not: JSON-P, SockJS, GRIP sessions and the HTTP filters of Pushpin
// 2.0 are refused with a warning or not advertised. Messages on native WebSockets
// are passed on whole, not in the fragments they came in: the engine gives and
// takes messages.
package origin
