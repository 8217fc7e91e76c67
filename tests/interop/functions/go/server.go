// SPDX-License-Identifier: Apache-2.0

// A stand-in for StateFun's Go SDK, which is not to be had as a package: the same answers, byte for byte, to the same
// requests (../README.md). It sets no content type, net/http finds out; it wants the exact content type of requests.
package main

import (
	"fmt"
	"io"
	"net/http"
)

// One declared state value; mode 1 expires after a write, 2 after a call.
type spec struct {
	name, typename string
	mode, expireMs uint64
}

// A state value while its batch is handled.
type cell struct {
	spec    spec
	value   []byte
	isSet   bool
	isDirty bool
}

// The batch's effects, field by field as they are answered.
type context struct {
	self     address
	caller   *address
	cells    map[string]*cell
	outgoing []byte
	delayed  []byte
	egresses []byte
}

type function struct {
	specs  []spec
	invoke func(*context, typedValue) error
}

func (c *context) send(to address, value typedValue) {
	c.outgoing = putMessage(c.outgoing, 2, putMessage(putMessage(nil, 1, to.bytes()), 2, value.bytes()))
}

func (c *context) sendAfter(delayMs uint64, token string, to address, value typedValue) {
	delayed := putMessage(putMessage(putVarint(nil, 1, delayMs), 2, to.bytes()), 3, value.bytes())
	c.delayed = putMessage(c.delayed, 3, putText(delayed, 11, token))
}

func (c *context) cancel(token string) {
	c.delayed = putMessage(c.delayed, 3, putText(putVarint(nil, 10, 1), 11, token))
}

func (c *context) emit(namespace, name string, value typedValue) {
	record := putMessage(putText(putText(nil, 1, namespace), 2, name), 3, value.bytes())
	c.egresses = putMessage(c.egresses, 4, record)
}

func (c *context) set(name string, value []byte) {
	cell := c.cells[name]
	cell.value, cell.isSet, cell.isDirty = value, true, true
}

func (c *context) remove(name string) {
	cell := c.cells[name]
	cell.value, cell.isSet, cell.isDirty = nil, false, true
}

// incomplete answers with the specs the host does not know; nil if it knows them all.
func incomplete(specs []spec, states map[string]*typedValue) []byte {
	var missing []byte
	for _, spec := range specs {
		if _, isKnown := states[spec.name]; isKnown {
			continue
		}
		expiration := putVarint(putVarint(nil, 1, spec.mode), 2, spec.expireMs)
		one := putMessage(putText(nil, 1, spec.name), 2, expiration)
		missing = putMessage(missing, 1, putText(one, 3, spec.typename))
	}
	if missing == nil {
		return nil
	}
	return putMessage(nil, 101, missing)
}

func (f function) handle(request batch) ([]byte, error) {
	if answer := incomplete(f.specs, request.states); answer != nil {
		return answer, nil
	}
	work := &context{self: request.target, cells: map[string]*cell{}}
	for _, spec := range f.specs {
		work.cells[spec.name] = &cell{spec: spec}
		if state := request.states[spec.name]; state != nil && state.hasValue {
			work.cells[spec.name].value, work.cells[spec.name].isSet = state.value, true
		}
	}
	for _, invocation := range request.invocations {
		work.caller = invocation.caller
		if err := f.invoke(work, invocation.argument); err != nil {
			return nil, err
		}
	}
	return putMessage(nil, 100, work.result(f.specs)), nil
}

func (c *context) result(specs []spec) []byte {
	var mutations []byte
	for _, spec := range specs {
		cell := c.cells[spec.name]
		switch {
		case cell.isDirty && cell.isSet:
			value := typedValue{typename: spec.typename, hasValue: true, value: cell.value}
			mutation := putText(putVarint(nil, 1, 1), 2, spec.name)
			mutations = putMessage(mutations, 1, putMessage(mutation, 3, value.bytes()))
		case cell.isDirty:
			mutations = putMessage(mutations, 1, putText(nil, 2, spec.name))
		}
	}
	return append(append(append(mutations, c.outgoing...), c.delayed...), c.egresses...)
}

type functions map[string]function

func (f functions) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		http.Error(response, "invalid request method", http.StatusMethodNotAllowed)
		return
	}
	if contentType := request.Header.Get("Content-Type"); contentType != "" && contentType != "application/octet-stream" {
		http.Error(response, "invalid content type", http.StatusUnsupportedMediaType)
		return
	}
	if request.Body == nil || request.ContentLength == 0 {
		http.Error(response, "request body missing", http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := f.answer(body)
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = response.Write(answer) // the caller is gone if it fails, and asks again
}

func (f functions) answer(body []byte) ([]byte, error) {
	batch, err := parseToFunction(body)
	if err != nil {
		return nil, fmt.Errorf("failed to unmarshal ToFunction: proto:\u00a0%w", err)
	}
	typename := batch.target.namespace + "/" + batch.target.name
	found, isKnown := f[typename]
	if !isKnown {
		return nil, fmt.Errorf("unknown function type %s", typename)
	}
	return found.handle(batch)
}
