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
//
// Where it differs from Pushpin on purpose (grip.md gives the reasons): an origin's
// Content-Encoding is kept; a body shorter than its event says is an error; an
// events answer whose type has parameters is taken, with a warning; a close that
// is postponed is sent again, and one whose content alone is refused drops the
// client; DISCONNECT has no Content-Bytes-Replayed, the 101 no
// Content-Bytes-Accepted; close codes that must not be on the wire become 1000;
// links are relative to the path as the client sees it; localhost has both its
// addresses; requests of one second share a Grip-Sig; without host= or with
// trust_connect_host the certificate must be the target address's.
package origin
