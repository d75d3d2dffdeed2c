package grip

import (
	"encoding/json"
	"unicode/utf8"
)

// wireItems and its parts are the JSON of a publish request.
type wireItems struct {
	Items []wireItem `json:"items"`
}

type wireItem struct {
	Channel string                `json:"channel"`
	ID      string                `json:"id,omitempty"`
	PrevID  string                `json:"prev-id,omitempty"`
	Formats map[string]wireFormat `json:"formats"`
	Meta    map[string]string     `json:"meta,omitempty"`
	NoSeq   bool                  `json:"no-seq,omitempty"`
}

type wireFormat struct {
	Action         string          `json:"action,omitempty"`
	Type           string          `json:"type,omitempty"`
	Code           int             `json:"code,omitempty"`
	Reason         string          `json:"reason,omitempty"`
	Header         [][2]string     `json:"headers,omitempty"`
	Content        *string         `json:"content,omitempty"`
	ContentBin     []byte          `json:"content-bin,omitzero"`
	Body           *string         `json:"body,omitempty"`
	BodyBin        []byte          `json:"body-bin,omitzero"`
	BodyPatch      json.RawMessage `json:"body-patch,omitempty"`
	ContentFilters []string        `json:"content-filters,omitzero"`
}

// MarshalItems writes the body of a publish request. ParsePublish reads the same
// items from it, with these exceptions: an item without any format is refused,
// text that is not UTF-8 is damaged (content is not, it goes as base64), and a
// BodyPatch that is not JSON becomes null, which the endpoint refuses.
func MarshalItems(items []*Item) []byte {
	out := wireItems{Items: make([]wireItem, 0, len(items))}
	for _, it := range items {
		out.Items = append(out.Items, it.wire())
	}
	return appendJSON(nil, out)
}

func (it *Item) wire() wireItem {
	w := wireItem{Channel: it.Channel, ID: it.ID, PrevID: it.PrevID, Meta: it.Meta, NoSeq: it.NoSeq,
		Formats: make(map[string]wireFormat, 1)}
	if it.HTTPResponse != nil {
		w.Formats[formatResponse] = it.HTTPResponse.wire()
	}
	if it.HTTPStream != nil {
		w.Formats[formatStream] = it.HTTPStream.wire()
	}
	if it.WSMessage != nil {
		w.Formats[formatMessage] = it.WSMessage.wire()
	}
	return w
}

func (r *HTTPResponse) wire() wireFormat {
	if r.Action != Send {
		return wireFormat{Action: r.Action.String()}
	}
	w := wireFormat{Code: r.Code, Reason: r.Reason, Header: r.Header, ContentFilters: r.ContentFilters}
	switch {
	case r.BodyPatch == nil:
		w.Body, w.BodyBin = textOrBytes(r.Body)
	case json.Valid(r.BodyPatch):
		w.BodyPatch = r.BodyPatch
	default:
		w.BodyPatch = json.RawMessage("null")
	}
	return w
}

func (s *HTTPStream) wire() wireFormat {
	if s.Action != Send {
		return wireFormat{Action: s.Action.String()}
	}
	w := wireFormat{ContentFilters: s.ContentFilters}
	w.Content, w.ContentBin = textOrBytes(s.Content)
	return w
}

func (m *WSMessage) wire() wireFormat {
	switch m.Action {
	case Send:
		return m.wireContent()
	case Close:
		return wireFormat{Action: m.Action.String(), Code: m.Code, Reason: m.Reason}
	}
	return wireFormat{Action: m.Action.String()}
}

// wireContent names the type only where the content's field does not imply it.
func (m *WSMessage) wireContent() wireFormat {
	w := wireFormat{ContentFilters: m.ContentFilters}
	switch {
	case m.Type == Binary:
		w.ContentBin = notNil(m.Content)
		return w
	case m.Type != Text && m.Content == nil:
		w.Type = m.Type.String()
		return w
	}
	w.Content, w.ContentBin = textOrBytes(m.Content)
	if m.Type != Text || w.ContentBin != nil {
		w.Type = m.Type.String()
	}
	return w
}

// textOrBytes chooses the field content goes into: text if it is UTF-8.
func textOrBytes(content []byte) (text *string, bin []byte) {
	if !utf8.Valid(content) {
		return nil, content
	}
	s := string(content)
	return &s, nil
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
