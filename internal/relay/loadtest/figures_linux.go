package loadtest

import (
	"fmt"
	"time"
)

// Figure is one number that is measured of a server and, in the same run, of a
// floor.
type Figure struct {
	// Name is the benchmark's name below its parent.
	Name string
	// Job is what the server has to do.
	Job Job
	// Floor is measured beside the server. A zero Floor is the server itself,
	// for a figure that compares two jobs.
	Floor Spec
	// FloorJob is what the floor has to do; a zero Job is the same job.
	FloorJob Job
	// Value picks the number, Unit names it.
	Value func(Result) float64
	Unit  string
	// Goal says what the project wants, for the report.
	Goal string
}

// Saturated is fan-out to n streams under as much load as the server takes.
func Saturated(n int) Figure {
	f := Figure{
		Name: fmt.Sprintf("saturated/%d", n), Job: Job{Subscribers: n}, Floor: Floor(false),
		Value: Result.PerCore, Unit: "deliveries/s/core",
	}
	if n == 1000 {
		f.Goal = "≥ 10 ×"
	}
	return f
}

// SaturatedBatch is Saturated beside a floor that joins what waits into one write.
func SaturatedBatch(n int) Figure {
	f := Saturated(n)
	f.Name, f.Floor, f.Goal = fmt.Sprintf("saturated-batch/%d", n), Floor(true), ""
	return f
}

// Single sends one message at a time to n streams, the next once all have it.
func Single(n int) Figure {
	return Figure{
		Name: fmt.Sprintf("single/%d", n), Job: Job{Subscribers: n, Window: 1}, Floor: Floor(false),
		Value: Result.PerDelivery, Unit: "µs-cpu/delivery", Goal: "≤ 1.15 ×",
	}
}

// pacedMessages makes one message that something else on the machine has held
// up a two-hundredth part of all deliveries: it cannot be the 99th percentile.
const pacedMessages = 200

// Paced sends rate messages per second to n streams and takes the 99th
// percentile of latency.
func Paced(n int, rate float64) Figure {
	return Figure{
		Name: fmt.Sprintf("paced/%dx%v", n, rate), Floor: Floor(false),
		Job:   Job{Subscribers: n, Rate: rate, Measure: time.Duration(pacedMessages / rate * float64(time.Second))},
		Value: Result.P99Millis, Unit: "p99-ms", Goal: "≤ 1.3 ×",
	}
}

// Stalled is Paced with one more stream that is never read, beside the same
// without it. Rate and payload, in bytes, should fill the socket of the stalled
// stream soon: it takes some hundred kilobytes.
func Stalled(n int, rate float64, payload int) Figure {
	f := Paced(n, rate)
	f.Name, f.Floor, f.Goal = fmt.Sprintf("stalled/%dx%v", n, rate), Spec{}, "< 1.1 ×"
	f.Job.Payload = payload
	f.FloorJob = f.Job
	f.Job.Stalled = 1
	return f
}

// Publish is how many messages publishers connections hand in per second, each
// waiting for its answer, with one subscriber.
func Publish(publishers int) Figure {
	return Figure{
		Name: fmt.Sprintf("publish/%d", publishers), Floor: Floor(false),
		Job:   Job{Subscribers: 1, Publishers: publishers, Depth: 1, Window: 4 * publishers},
		Value: Result.PublishedPerCore, Unit: "publishes/s/core", Goal: "≥ 50,000",
	}
}

// Connects opens n streams as fast as the server lets them in.
func Connects(n int) Figure {
	return Figure{
		Name: fmt.Sprintf("connect/%d", n), Job: Job{Kind: Connect, Subscribers: n}, Floor: Floor(false),
		Value: Result.OpenedPerCore, Unit: "connects/s/core", Goal: "≥ 10,000",
	}
}

// MQTTPublish is how many messages publishers connections hand in per second
// over MQTT, as fast as the one subscriber receives them.
func MQTTPublish(publishers int) Figure {
	return Figure{
		Name: fmt.Sprintf("mqtt-publish/%d", publishers), Floor: FloorMQTT(false),
		Job:   Job{Subscribers: 1, Publishers: publishers, Window: publishWindow, Limit: brokerLimit},
		Value: Result.PublishedPerCore, Unit: "publishes/s/core", Goal: "≥ 150,000",
	}
}

// publishWindow is how many messages to one subscriber may be on their way: far
// fewer than a server lets wait for a slow reader.
const publishWindow = 512

// OverMQTT is the same figure of a broker, beside the floor of brokers and with a
// goal of its own. A floor that is the server itself stays.
func (f Figure) OverMQTT(goal string) Figure {
	f.Name, f.Goal = "mqtt-"+f.Name, goal
	f.Job.Limit = brokerLimit
	if f.Floor.Start != nil {
		f.Floor = FloorMQTT(false)
	}
	return f
}

// Beside is the same figure with another server in place of the floor.
func (f Figure) Beside(s Spec, goal string) Figure {
	f.Name, f.Floor, f.Goal = f.Name+"-beside-"+s.Name, s, goal
	return f
}
