package client

import (
	"slices"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// The formats of an item, one for each kind of held connection.
const (
	FormatStream   = "http-stream"
	FormatResponse = "http-response"
	FormatMessage  = "ws-message"
)

// GripAction is what an item asks of connections.
type GripAction string

// The actions. Each format has those that make sense for it.
const (
	GripSend    GripAction = "send"    // write the body
	GripHint    GripAction = "hint"    // streams and held responses: ask the origin
	GripClose   GripAction = "close"   // streams and sockets: end
	GripRefresh GripAction = "refresh" // sockets: ask the origin
)

// Formats are those that an action is for.
func (a GripAction) Formats() []string {
	switch a {
	case GripHint:
		return []string{FormatStream, FormatResponse}
	case GripClose:
		return []string{FormatStream, FormatMessage}
	case GripRefresh:
		return []string{FormatMessage}
	}
	return []string{FormatStream, FormatResponse, FormatMessage}
}

// GripItem is one item for a channel.
type GripItem struct {
	// Channel is the channel's name.
	Channel string
	// ID and PrevID, if not empty, place the item in the channel's sequence.
	ID, PrevID string
	// NoSeq delivers at once, whatever is missing before.
	NoSeq bool
	// Meta is for filters.
	Meta map[string]string
	// Action is GripSend if empty.
	Action GripAction
	// Formats are those the item is for; nil means all that the action has.
	Formats []string
	// Body is what GripSend writes.
	Body []byte
	// Binary makes the message to sockets a binary one.
	Binary bool
	// Code and Reason are the status of a response, or those of a socket's close;
	// 0 leaves the usual one.
	Code   int
	Reason string
	// Header is that of a response.
	Header [][2]string
}

// item is the item as the wire has it.
func (i GripItem) item() *grip.Item {
	action := map[GripAction]grip.Action{GripHint: grip.Hint, GripClose: grip.Close, GripRefresh: grip.Refresh}[i.Action]
	formats := i.Formats
	if formats == nil {
		formats = i.Action.Formats()
	}
	it := &grip.Item{Channel: i.Channel, ID: i.ID, PrevID: i.PrevID, NoSeq: i.NoSeq, Meta: i.Meta}
	if slices.Contains(formats, FormatStream) {
		it.HTTPStream = &grip.HTTPStream{Action: action, Content: i.Body}
	}
	if slices.Contains(formats, FormatResponse) {
		it.HTTPResponse = &grip.HTTPResponse{Action: action, Code: i.Code, Reason: i.Reason, Header: i.Header, Body: i.Body}
	}
	if slices.Contains(formats, FormatMessage) {
		it.WSMessage = &grip.WSMessage{Action: action, Content: i.Body, Code: i.Code, Reason: i.Reason}
		if i.Binary {
			it.WSMessage.Type = grip.Binary
		}
	}
	return it
}
