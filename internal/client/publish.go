package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

const opPublish = "publish"

// PublishOptions say how a message is sent; the zero value sends it live.
type PublishOptions struct {
	// Retain keeps the message as its topic's last one. Subscribers that are
	// not durable never see a retained message.
	Retain bool
	// TTL is how long a retained message is kept, in whole seconds, at most
	// 2^32-1; zero keeps it until the next one.
	TTL time.Duration
	// Clear stores the retained message as already expired: nobody receives
	// it, and the one before it is gone. TTL is then ignored.
	Clear bool
	// MQTT sends the message in a PUBLISH instead of over HTTP: any topic can be
	// named, and the service does not say whether it took the message.
	MQTT bool
}

// kept is for how many seconds a message is kept, and whether it is so at all
// for a limited time.
func (o PublishOptions) kept() (seconds uint32, limited bool, err error) {
	switch n := int64(o.TTL / time.Second); {
	case !o.Retain, o.TTL == 0 && !o.Clear:
		return 0, false, nil
	case o.Clear:
		return 0, true, nil
	case n < 1 || n > math.MaxUint32 || o.TTL%time.Second != 0:
		err := fmt.Errorf("a retained message is kept for whole seconds between 1 and %d", uint32(math.MaxUint32))
		return 0, false, &Error{Op: opPublish, Category: CategoryUsage, Reason: "ttl", Err: err}
	default:
		return uint32(n), true, nil
	}
}

// Published is the service's acceptance of one message.
type Published struct {
	// Took is the time from the request to the end of the answer; over MQTT to
	// the answer of a ping behind the message, which proves that it was read.
	Took time.Duration

	began time.Time // of Took
}

// Publish sends body, at most pubsub.MaxPayload bytes, to topic and waits for
// the answer. A topic that cannot be written into a query as it is gives a
// usage error: the app reads the topic raw, so an encoded one would be another
// topic. Over MQTT it fails for what the app would drop without a word, as far
// as that can be told from here.
func (c *Client) Publish(ctx context.Context, topic pubsub.Topic, body []byte, o PublishOptions) (Published, error) {
	if o.MQTT {
		return c.publishPacket(ctx, topic, body, o)
	}
	query, err := publishQuery(topic, o)
	if err != nil {
		return Published{}, err
	}
	if len(body) > pubsub.MaxPayload {
		return Published{}, tooLarge(len(body))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout(), errTimeout)
	defer cancel()
	r, err := c.request(ctx, opPublish, http.MethodPost, "/events", query, bytes.NewReader(body))
	if err != nil {
		return Published{}, err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	began := time.Now()
	if err := c.send(ctx, r); err != nil {
		return Published{}, err
	}
	return Published{Took: time.Since(began), began: began}, nil
}

// send carries one publish request to its verdict.
func (c *Client) send(ctx context.Context, r *http.Request) error {
	resp, err := c.do(r)
	if err != nil {
		return broken(ctx, opPublish, err)
	}
	defer resp.Body.Close()
	return published(ctx, resp)
}

// published judges the answer to a publish.
func published(ctx context.Context, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || !fromApp(resp.Header) {
		return refused(opPublish, resp)
	}
	text, err := readText(resp.Body)
	if err != nil {
		return broken(ctx, opPublish, err)
	}
	if text != "Published" {
		return &Error{Op: opPublish, Category: CategoryAPI, Reason: "platform", Status: resp.StatusCode, Sent: true}
	}
	return nil
}

// publishQuery writes the query by hand (rule 15.1).
func publishQuery(topic pubsub.Topic, o PublishOptions) (string, error) {
	if !pubsub.PlainTopic(topic) {
		err := errors.New("the topic holds characters that cannot be published over HTTP")
		return "", &Error{Op: opPublish, Category: CategoryUsage, Reason: "topic_not_plain", Err: err}
	}
	var b strings.Builder
	b.WriteString("topic=" + string(topic))
	if !o.Retain {
		return b.String(), nil
	}
	b.WriteString("&retain=true")
	seconds, limited, err := o.kept()
	if limited {
		b.WriteString("&ttl=" + strconv.FormatUint(uint64(seconds), 10))
	}
	return b.String(), err
}

func tooLarge(size int) error {
	err := fmt.Errorf("the message is %d bytes, the most is %d", size, pubsub.MaxPayload)
	return &Error{Op: opPublish, Category: CategoryUsage, Reason: "too_large", Err: err}
}
