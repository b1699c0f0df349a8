// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_IMAGING_H
#define GANTRY_IMAGING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// DICOM instances in memory, their frames, and what a model sees of them.
//
// Every function is safe on any input: it returns a code and, where there is a `gi_error`, a sentence without values
// of patient-related elements. No C++ exception leaves this interface. A handle belongs to one thread at a time;
// different handles may be used on different threads at once.

enum {
    GI_OK = 0,
    GI_NOT_DICOM = 1,
    GI_TRUNCATED = 2,
    GI_MALFORMED = 3,
    GI_NOT_AN_IMAGE = 4,
    GI_NO_PIXEL_DATA = 5,
    GI_BAD_GEOMETRY = 6,
    GI_TOO_LARGE = 7,
    GI_UNSUPPORTED_TRANSFER_SYNTAX = 8,
    GI_UNSUPPORTED_PHOTOMETRIC = 9,
    GI_BAD_RESCALE = 10,
    GI_DECODE_FAILED = 11,
    GI_NO_SUCH_FRAME = 12,
    GI_INVALID_ARGUMENT = 13,
    GI_WRITE_FAILED = 14,
    GI_INTERNAL = 15,
    GI_NO_MEMORY = 16
};

typedef struct gi_error {
    int32_t code;
    char text[320];
} gi_error;

/// What an instance may ask for before it is refused as too large.
typedef struct gi_limits {
    /// Rows × Columns × SamplesPerPixel of one frame.
    uint64_t frame_samples;
    /// Bytes of a deflated data set after inflation.
    uint64_t inflated_bytes;
    /// NumberOfFrames.
    uint64_t frames;
} gi_limits;

/// Reads the dictionary and loads the converters of character sets now, which the first instance that needs one would do,
/// and keeps them. For a process that will have no files by then. Any thread.
void gi_read_tables(void);

/// An instance whose bytes belong to the caller and must stay valid and unchanged until `gi_close`.
typedef struct gi_instance gi_instance;

/// Reads the structure of an instance. An instance whose data set breaks off or is malformed further on is opened all
/// the same; `gi_defect` says what is wrong with it. On any other code `*out` is null.
int32_t gi_open(
    const void *bytes, size_t count, const gi_limits *limits, gi_instance **out, gi_error *error);
void gi_close(gi_instance *instance);

/// The code of what is structurally wrong with the data set, or GI_OK.
int32_t gi_defect(const gi_instance *instance, gi_error *error);

/// Copies the text of a top-level or file-meta element as UTF-8, converted by SpecificCharacterSet, without padding
/// and control characters. Returns the number of bytes of the text (which is cut when larger than `capacity`), or −1
/// when the element is absent. Not terminated.
int64_t gi_text(const gi_instance *instance, uint32_t tag, char *buffer, size_t capacity);

/// The `index`th value of a numeric or decimal-string element. Returns 1 when there, else 0.
int32_t gi_number(const gi_instance *instance, uint32_t tag, uint32_t index, double *value);

/// The pixel description (PS3.3 C.7.6.3), checked against itself.
typedef struct gi_image {
    uint32_t rows;
    uint32_t columns;
    uint32_t frames;
    uint32_t samples_per_pixel;
    uint32_t bits_allocated;
    uint32_t bits_stored;
    uint32_t high_bit;
    int32_t is_signed;
    int32_t is_monochrome1;
} gi_image;

/// Says whether the instance holds frames that can be asked for, without decoding any.
int32_t gi_describe(gi_instance *instance, gi_image *out, gi_error *error);

/// One decoded frame in memory that is used again for the next.
typedef struct gi_frame gi_frame;
gi_frame *gi_frame_new(void);
void gi_frame_free(gi_frame *frame);

/// Decodes one frame (0-based) into `frame`. On failure `frame` is empty.
int32_t gi_decode(gi_instance *instance, uint32_t index, gi_frame *frame, gi_error *error);

/// What is known of a decoded frame beside its pixels.
typedef struct gi_frame_info {
    uint32_t rows;
    uint32_t columns;
    double slope;
    double intercept;
    int32_t is_monochrome1;
    int32_t has_window;
    double window_center;
    double window_width;
    /// Row spacing, column spacing in mm; 0 when unknown.
    double spacing[2];
    int32_t has_orientation;
    /// ImageOrientationPatient.
    double orientation[6];
} gi_frame_info;

int32_t gi_frame_describe(const gi_frame *frame, gi_frame_info *out);

/// Copies rows × columns modality values (stored value × slope + intercept, or through the modality LUT; luminance for
/// colour; not-a-number for padding). `count` is the capacity of `out` in values.
int32_t gi_frame_values(const gi_frame *frame, float *out, size_t count, gi_error *error);

enum { GI_CHANNEL_WINDOW = 0, GI_CHANNEL_OWN_WINDOW = 1, GI_CHANNEL_PERCENTILES = 2 };

typedef struct gi_channel {
    int32_t kind;
    double center;
    double width;
    float mean;
    float deviation;
} gi_channel;

/// How a frame becomes channels × height × width.
typedef struct gi_preparation {
    uint32_t height;
    uint32_t width;
    /// 0: stretch; 1: letterbox.
    int32_t letterbox;
    /// 1: flip axial frames so that the patient's right is left and anterior is up.
    int32_t radiological;
    /// In mm; 0 keeps the frame's own.
    double pixel_spacing;
    uint32_t channel_count;
    const gi_channel *channels;
} gi_preparation;

/// Writes channel_count × height × width values to `out`, whose capacity in values is `count`.
int32_t gi_prepare(
    const gi_frame *frame, const gi_preparation *preparation, float *out, size_t count, gi_error *error);

/// A place in a model input = scale × place in the frame + offset. Places are distances from the edge in pixels: the
/// centre of the first pixel is at 0.5.
typedef struct gi_line {
    double scale;
    double offset;
} gi_line;

/// Where `gi_prepare` puts what is in a frame.
typedef struct gi_placement {
    uint32_t rows;
    uint32_t columns;
    gi_line vertical;
    gi_line horizontal;
} gi_placement;

int32_t gi_place(const gi_frame *frame, const gi_preparation *preparation, gi_placement *out, gi_error *error);

/// One attribute of an instance to write. `path` is in DCMTK's form: `(0010,0010)`, `(0054,0220)[0].(0008,0100)`.
typedef struct gi_attribute {
    const char *path;
    const char *value;
} gi_attribute;

/// The frame of an instance to write.
typedef struct gi_pixels {
    uint32_t rows;
    uint32_t columns;
    uint32_t bits_stored;
    int32_t is_signed;
    const char *photometric;
    /// rows × columns stored values; signed ones as two's complement.
    const uint16_t *values;
} gi_pixels;

/// Writes an instance with one 16-bit frame as a DICOM file into memory. `*bytes` is freed with `gi_free`.
int32_t gi_write(
    const gi_attribute *attributes, size_t attribute_count, const gi_pixels *pixels, const char *transfer_syntax,
    uint8_t **bytes, size_t *count, gi_error *error);
void gi_free(void *bytes);

#ifdef __cplusplus
}
#endif
#endif
