// Package loadtest measures a server that holds event streams or MQTT
// connections: how many deliveries, publishes and connects it manages per core,
// how late messages arrive, and what an idle connection costs in memory.
//
// Each figure is taken over loopback TCP sockets from a server in a process of
// its own by a load generator in another, each bound to one core and to one
// running Go thread. Beside the server under test the same load generator
// drives a floor: the least any server can do, which reads the request, writes
// ready bytes once per subscriber and message, and nothing else. Only the ratio
// of the two moves from machine to machine with any meaning.
//
// A result is given only if every subscriber received every message of every
// publisher once, whole and in order; otherwise the run is an error that names
// the first message that went wrong. Every run ends within its limit.
//
// MQTT is version 5 over WebSocket with QoS 0: what the app speaks, and no more
// than that. A message to a subscriber is checked byte by byte; how a broker
// splits packets over frames is not, as long as no packet spans two.
//
// Not promised: latency is read by the process that publishes, so it includes
// the publish request and the reader's own queue; memory of the kernel's
// sockets is not counted; and over TLS and HTTP/2 the load generator is slower
// than the server, so only the server's CPU time is worth reading there.
// Measuring needs Linux; elsewhere the package builds but has no harness.
package loadtest
