package origin

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

const instructType = "application/grip-instruct"

// answer makes the engine's response of an origin's.
func (b *backend) answer(r *fanout.Request, in *incoming) (*fanout.Response, error) {
	b.noteForwarded(r, in)
	json := isMediaType(in.Header.Get("Content-Type"), instructType) && r.Method != http.MethodHead
	if in.untouched || !json && !hasGrip(in.Header) {
		header := responseHeader(in.Header)
		if b.route.cors && !r.FollowUp {
			header = withCORS(header, r.Header)
		}
		return &fanout.Response{Status: in.StatusCode, Reason: reasonOf(in.Response), Header: header, Stream: in}, nil
	}
	resp, err := b.instructed(r, in, json)
	if err != nil || resp.Stream == nil {
		_ = in.Close() // all that counts has been read
	}
	return resp, err
}

func hasGrip(h http.Header) bool {
	for name := range h {
		if grip.IsHeader(name) {
			return true
		}
	}
	return false
}

// instructed reads a response with instructions, which is buffered: what is to be
// done with it must be known before its first byte is sent.
func (b *backend) instructed(r *fanout.Request, in *incoming, json bool) (*fanout.Response, error) {
	body, more, err := in.buffer()
	if err != nil {
		return nil, err
	}
	in.body.leave()
	resp := &fanout.Response{Status: in.StatusCode, Body: body, Prefix: b.route.prefix}
	if more {
		resp.Stream = in
	}
	switch {
	case json && r.FollowUp:
		resp.Body = nil // such a page has headers only (grip.md, 2.2)
		resp.Instruct, err = grip.ParseInstruct(in.Header)
		resp.Header = withoutGrip(responseHeader(in.Header))
	case json && more:
		return nil, tooLarge(in.from)
	case json:
		err = b.fromJSON(resp, in)
	default:
		err = b.fromHeader(resp, in)
	}
	if err != nil {
		return nil, badInstruct(err)
	}
	if r.Method == http.MethodHead { // never held; its length is that of another answer
		resp.Instruct, resp.Stream = nil, in
		return resp, nil
	}
	if more && !mayBeLong(resp.Instruct) {
		return nil, tooLarge(in.from)
	}
	if b.route.cors && !r.FollowUp {
		resp.Header = withCORS(resp.Header, r.Header)
	}
	return resp, b.complete(r, in, resp.Instruct)
}

// mayBeLong reports whether a body too long to be kept can be sent anyway: not if
// it is to be kept, or filtered as a whole.
func mayBeLong(in *grip.Instruct) bool {
	if in == nil {
		return true
	}
	return in.Hold != grip.Response && !slices.ContainsFunc(in.Channels, func(c grip.Channel) bool {
		return slices.Contains(c.Filters, grip.FilterBuildID)
	})
}

// fromHeader reads Grip-* headers.
func (b *backend) fromHeader(resp *fanout.Response, in *incoming) (err error) {
	if resp.Instruct, err = grip.ParseInstruct(in.Header); err != nil {
		return err
	}
	resp.Header = expose(withoutGrip(responseHeader(in.Header)), resp.Instruct.Expose)
	if s := resp.Instruct.Status; s != 0 {
		resp.Status, resp.Reason = s, resp.Instruct.Reason
	} else {
		resp.Reason = reasonOf(in.Response)
	}
	return checkStatus(resp.Status)
}

// reasonOf is the reason phrase of a response if it is not the usual one.
func reasonOf(resp *http.Response) string {
	usual := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.Status == usual || len(resp.Status) < 5 {
		return ""
	}
	return resp.Status[4:]
}

// fromJSON reads a body of instructions. Nothing of the response it came in
// reaches the client.
func (b *backend) fromJSON(resp *fanout.Response, in *incoming) error {
	if in.StatusCode != http.StatusOK {
		return grip.ErrInstructStatus
	}
	instruct, answer, err := grip.ParseInstructJSON(resp.Body, in.Header)
	if err != nil {
		return err
	}
	header := http.Header{}
	for _, h := range answer.Header {
		if isToken(h[0]) && isFieldValue(h[1]) {
			header.Add(h[0], h[1])
		}
	}
	resp.Instruct, resp.Status, resp.Body = instruct, answer.Status, answer.Body
	resp.Reason = answer.Reason
	resp.Header = withoutGrip(responseHeader(header))
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	return checkStatus(resp.Status)
}

// checkStatus refuses what no HTTP server can send as the final status.
func checkStatus(status int) error {
	if status < http.StatusOK {
		return grip.Reason("Grip-Status contains invalid status code")
	}
	return nil
}

// complete adds to the origin's instructions what the route says.
func (b *backend) complete(r *fanout.Request, in *incoming, instruct *grip.Instruct) error {
	if instruct == nil {
		return nil
	}
	if instruct.Hold != grip.None {
		for _, name := range in.from.subs {
			same := func(c grip.Channel) bool { return c.Name == name }
			if !slices.ContainsFunc(instruct.Channels, same) {
				instruct.Channels = append(instruct.Channels, grip.Channel{Name: name})
			}
		}
	}
	if err := b.resolveLinks(r, instruct); err != nil {
		return err
	}
	b.noteHeld(r, instruct)
	return nil
}
