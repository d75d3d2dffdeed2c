package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// How often a way is tried, and how long is waited in between: what was just
// activated, and a key just made, reach the places of the network one after the
// other.
const (
	selfTestTries = 3
	selfTestPause = time.Second
)

// SelfTestError is a message that did not come back.
type SelfTestError struct {
	// Way is SSE or MQTT.
	Way string
	// Opened says that the subscription stood.
	Opened bool
	Err    error
}

// Error says what was tried.
func (e *SelfTestError) Error() string {
	if !e.Opened {
		return "cannot subscribe over " + e.Way + ": " + e.Err.Error()
	}
	return "a message published over " + e.Way + " does not come back: " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *SelfTestError) Unwrap() error { return e.Err }

// SelfTest follows a topic that nobody else has and publishes to it: over HTTP
// with an event stream, and over MQTT. detail says how long the messages took.
// Sign must be set. The error is *SelfTestError, or ctx's.
func (l Look) SelfTest(ctx context.Context) (detail string, err error) {
	sse, err := l.tryWay(ctx, "SSE", client.PublishOptions{})
	if err != nil {
		return "", err
	}
	mqtt, err := l.tryWay(ctx, "MQTT", client.PublishOptions{MQTT: true})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("a message came back, over SSE in %s, over MQTT in %s", millis(sse), millis(mqtt)), nil
}

// tryWay sends one message a few times until one comes back. A refusal is final.
func (l Look) tryWay(ctx context.Context, way string, o client.PublishOptions) (time.Duration, error) {
	for try := 1; ; try++ {
		opened, echo := l.confirm(ctx, o)
		if echo.Err == nil {
			return echo.Took, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return 0, cause
		}
		if e, is := errors.AsType[*client.Error](echo.Err); try == selfTestTries || is && e.Refusal() {
			return 0, &SelfTestError{Way: way, Opened: opened.Err == nil, Err: echo.Err}
		}
		select {
		case <-time.After(selfTestPause):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// millis is a short time for people.
func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
