// Package client speaks to a Pub/Sub service: it publishes over HTTP and
// follows topics over a Transport, which today is the service's event stream.
//
// Publish sends one message and reports the service's answer. A nil error
// means the service accepted the message, not that anybody received it; it
// never repeats a request, because a live message sent twice is delivered
// twice.
//
// Subscribe calls one function, from the goroutine that called Subscribe, with
// everything that happens to a subscription, in order. There is no queue: a
// slow function slows reading, and the service ends a reader that falls too
// far behind. Between two connections messages may be lost; each time that may
// have happened a Gap says so. A durable subscription resumes by id and then
// misses live messages only, but stored messages may be conflated to the
// newest one. No order between live and stored messages is promised.
//
// Errors are of type *Error unless the caller's context or function ended the
// call. They carry what the service said, never a token or a key.
package client
