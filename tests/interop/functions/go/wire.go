// SPDX-License-Identifier: Apache-2.0

// The protocol's messages as bytes, as far as a function needs them: read with bounds, written in the order of fields.
package main

import (
	"encoding/binary"
	"errors"
	"math"
)

// The text Go's protobuf has for it, as far as it is the same from one build to the next.
var errWire = errors.New("cannot parse invalid wire-format data")

type field struct {
	number int
	kind   int // wire type: 0 varint, 1 eight bytes, 2 bytes, 5 four bytes
	varint uint64
	bytes  []byte
}

type address struct{ namespace, name, id string }

// A TypedValue: the parts that matter, and the message as it came.
type typedValue struct {
	typename string
	hasValue bool
	value    []byte
	raw      []byte
}

type invocation struct {
	caller   *address
	argument typedValue
}

type batch struct {
	target      address
	states      map[string]*typedValue // nil: registered and unset
	invocations []invocation
}

func parseFields(data []byte) ([]field, error) {
	var fields []field
	for len(data) > 0 {
		tag, size := binary.Uvarint(data)
		if size <= 0 || tag>>3 == 0 {
			return nil, errWire
		}
		data = data[size:]
		found := field{number: int(tag >> 3), kind: int(tag & 7)}
		length := uint64(0)
		switch found.kind {
		case 0:
			if found.varint, size = binary.Uvarint(data); size <= 0 {
				return nil, errWire
			}
			length = uint64(size)
		case 1:
			length = 8
		case 2:
			if length, size = binary.Uvarint(data); size <= 0 {
				return nil, errWire
			}
			data = data[size:]
		case 5:
			length = 4
		default:
			return nil, errWire
		}
		if length > uint64(len(data)) {
			return nil, errWire
		}
		found.bytes = data[:length]
		data = data[length:]
		fields = append(fields, found)
	}
	return fields, nil
}

func parseAddress(data []byte) (address, error) {
	var found address
	fields, err := parseFields(data)
	for _, field := range fields {
		switch field.number {
		case 1:
			found.namespace = string(field.bytes)
		case 2:
			found.name = string(field.bytes)
		case 3:
			found.id = string(field.bytes)
		}
	}
	return found, err
}

func parseTypedValue(data []byte) (typedValue, error) {
	found := typedValue{raw: data}
	fields, err := parseFields(data)
	for _, field := range fields {
		switch field.number {
		case 1:
			found.typename = string(field.bytes)
		case 2:
			found.hasValue = field.varint != 0
		case 3:
			found.value = field.bytes
		}
	}
	return found, err
}

func parseState(data []byte, states map[string]*typedValue) error {
	fields, err := parseFields(data)
	if err != nil {
		return err
	}
	name := ""
	var value *typedValue
	for _, field := range fields {
		switch field.number {
		case 1:
			name = string(field.bytes)
		case 2:
			found, err := parseTypedValue(field.bytes)
			if err != nil {
				return err
			}
			value = &found
		}
	}
	states[name] = value
	return nil
}

func parseInvocation(data []byte) (invocation, error) {
	var found invocation
	fields, err := parseFields(data)
	for _, field := range fields {
		switch field.number {
		case 1:
			caller, err := parseAddress(field.bytes)
			if err != nil {
				return found, err
			}
			found.caller = &caller
		case 2:
			argument, err := parseTypedValue(field.bytes)
			if err != nil {
				return found, err
			}
			found.argument = argument
		}
	}
	return found, err
}

// parseToFunction reads a request.
func parseToFunction(data []byte) (batch, error) {
	found := batch{states: map[string]*typedValue{}}
	fields, err := parseFields(data)
	if err != nil {
		return found, err
	}
	for _, request := range fields {
		if request.number != 100 {
			continue
		}
		parts, err := parseFields(request.bytes)
		if err != nil {
			return found, err
		}
		for _, part := range parts {
			switch part.number {
			case 1:
				found.target, err = parseAddress(part.bytes)
			case 2:
				err = parseState(part.bytes, found.states)
			case 3:
				var one invocation
				one, err = parseInvocation(part.bytes)
				found.invocations = append(found.invocations, one)
			}
			if err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// ---- writing: each appends one field; a zero is left out, as proto3 has it

func putVarint(out []byte, number int, value uint64) []byte {
	if value == 0 {
		return out
	}
	return binary.AppendUvarint(binary.AppendUvarint(out, uint64(number)<<3), value)
}

func putMessage(out []byte, number int, value []byte) []byte {
	out = binary.AppendUvarint(out, uint64(number)<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(value))), value...)
}

func putText(out []byte, number int, value string) []byte {
	if value == "" {
		return out
	}
	return putMessage(out, number, []byte(value))
}

func (a address) bytes() []byte {
	return putText(putText(putText(nil, 1, a.namespace), 2, a.name), 3, a.id)
}

func (v typedValue) bytes() []byte {
	if v.raw != nil {
		return v.raw
	}
	out := putText(nil, 1, v.typename)
	if v.hasValue {
		out = putVarint(out, 2, 1)
	}
	if len(v.value) > 0 {
		out = putMessage(out, 3, v.value)
	}
	return out
}

// ---- built-in types: field 1 of a wrapper; zero is no bytes at all

func wrapFixed32(value uint32) []byte {
	if value == 0 {
		return []byte{}
	}
	return binary.LittleEndian.AppendUint32([]byte{1<<3 | 5}, value)
}

func wrapFixed64(value uint64) []byte {
	if value == 0 {
		return []byte{}
	}
	return binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, value)
}

// unwrap gives field 1 of a wrapper if it has this wire type.
func unwrap(data []byte, kind int) field {
	fields, _ := parseFields(data)
	for _, field := range fields {
		if field.number == 1 && field.kind == kind {
			return field
		}
	}
	if kind == 2 {
		return field{}
	}
	return field{bytes: make([]byte, 8)} // enough zeros for any number
}

func unwrapInt(data []byte) int32     { return int32(binary.LittleEndian.Uint32(unwrap(data, 5).bytes)) }
func unwrapLong(data []byte) int64    { return int64(binary.LittleEndian.Uint64(unwrap(data, 1).bytes)) }
func unwrapString(data []byte) string { return string(unwrap(data, 2).bytes) }
func unwrapBool(data []byte) bool     { return unwrap(data, 0).varint != 0 }

func unwrapFloat(data []byte) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(unwrap(data, 5).bytes))
}

func unwrapDouble(data []byte) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(unwrap(data, 1).bytes))
}
