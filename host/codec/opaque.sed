# Strings and typed values as bytes: see meson.build.
s/^( *(optional |repeated )?)(string|TypedValue) /\1bytes /
