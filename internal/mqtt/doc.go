// Package mqtt is the packet format of MQTT 5 as the Pub/Sub app speaks it, in
// both directions. The conversation it serves, one packet per WebSocket frame:
//
//	client                                server
//	CONNECT with a token          ──►
//	                              ◄──     CONNACK, which proves nothing
//	SUBSCRIBE, one filter         ──►
//	                              ◄──     SUBACK, then the stored message
//	PUBLISH                       ──►     no answer at QoS 0
//	                              ◄──     PUBLISH, to every subscriber
//	UNSUBSCRIBE                   ──►
//	                              ◄──     SUBACK, where MQTT has an UNSUBACK
//	PINGREQ                       ──►
//	                              ◄──     PINGRESP
//	DISCONNECT                    ──►
//
// There are two decoders. [NextRequest] reads what clients send the way the app
// reads it, odd corners included: a field may reach beyond the end of its packet
// into the rest of the frame (Quirk Q2), only the first filter counts (Q3), a
// packet identifier is taken for a property length (Q24). It is the relay's
// side. [NextAnswer] reads what servers send as the MQTT 5 standard has it, with
// the few exceptions that the app needs (Q4); it is for clients, and other
// brokers than the app fit as well. Names beginning with Append write packets of
// either side behind what the caller's buffer already holds.
//
// Guarantees: nothing is copied on the way in; what a decoder returns shares
// memory with its input and is valid as long as that is left alone. Nothing is
// allocated except for errors, and on the way out except where the buffer is too
// small. No input makes a decoder panic. An input that is cut short is no error
// but no packet yet.
//
// Not promised: there is no I/O, no session, no timer and no acknowledgement
// here. Who may do what, topic aliases, matching an answer to its request, and
// how many bytes of an unfinished packet may wait are the caller's business; so
// is the text of a topic, which is its bytes and is not judged beyond being
// UTF-8.
package mqtt
