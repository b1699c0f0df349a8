// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_RESULTS_H
#define GANTRY_RESULTS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// DICOM objects about a study that Gantry has read: structured reports and key object selections (PS3.3 A.35, PS3.16),
// secondary capture images (PS3.3 A.8) and segmentations (PS3.3 A.51), as files in memory.
//
// Every function is safe on any input: it returns a code and, where there is a `gr_error`, a sentence without values
// of patient-related elements. No C++ exception leaves this interface. An object belongs to one thread at a time.
// Texts are encoded in the character set of the original instance.

enum { GR_OK = 0, GR_INVALID_ARGUMENT = 1, GR_NOT_DICOM = 2, GR_WRITE_FAILED = 3, GR_INTERNAL = 4 };

typedef struct gr_error {
    int32_t code;
    char text[320];
} gr_error;

/// An object that is being made.
typedef struct gr_object gr_object;

enum { GR_COMPREHENSIVE_SR = 0, GR_SECONDARY_CAPTURE = 1, GR_KEY_OBJECT_SELECTION = 2, GR_SEGMENTATION = 3 };

/// Begins an object. `original` is an instance of the study as a DICOM file: its patient and study modules and its
/// character set are taken over, but for values that no object may have (a date that is none). The bytes are not needed
/// after the call.
int32_t gr_begin(int32_t kind, const void *original, size_t count, gr_object **out, gr_error *error);
void gr_free(gr_object *object);

/// Sets an element; `path` in DCMTK's form: `(0008,0070)`, `(0008,2112)[0].(0008,1155)`.
int32_t gr_put(gr_object *object, const char *path, const char *value, gr_error *error);

/// How a content item belongs to the one above it (PS3.3 C.17.3.2.4).
enum { GR_CONTAINS = 0, GR_HAS_CONCEPT_MODIFIER = 1, GR_HAS_OBSERVATION_CONTEXT = 2, GR_INFERRED_FROM = 3,
       GR_HAS_ACQUISITION_CONTEXT = 4 };

/// A coded entry (PS3.3 8.8).
typedef struct gr_code {
    const char *value;
    const char *scheme;
    const char *meaning;
} gr_code;

// Content items of a report, in the order of the document. `..._container` goes into the new item, `gr_leave` out of
// it again; the others stay where they are. The first container is the root.
int32_t gr_container(gr_object *object, int32_t relationship, gr_code name, const char *template_id, gr_error *error);
int32_t gr_text(gr_object *object, int32_t relationship, gr_code name, const char *text, gr_error *error);
int32_t gr_uid(gr_object *object, int32_t relationship, gr_code name, const char *uid, gr_error *error);
int32_t gr_coded(gr_object *object, int32_t relationship, gr_code name, gr_code value, gr_error *error);
/// A number goes into its own item too, for what it was inferred from; `gr_leave` ends it.
int32_t gr_number(
    gr_object *object, int32_t relationship, gr_code name, const char *number, gr_code units, gr_error *error);
/// `name` without value: an image without concept name. `frame` counted from 1; 0: all frames.
int32_t gr_image(
    gr_object *object, int32_t relationship, gr_code name, const char *sop_class_uid, const char *sop_instance_uid,
    uint32_t frame, gr_error *error);
int32_t gr_leave(gr_object *object, gr_error *error);

enum { GR_REQUESTED_PROCEDURE_EVIDENCE = 0, GR_PREDECESSOR_DOCUMENTS = 1 };

/// Adds an instance of the study to a list of references (PS3.3 C.17.2).
int32_t gr_refer(
    gr_object *object, int32_t list, const char *series_instance_uid, const char *sop_class_uid,
    const char *sop_instance_uid, gr_error *error);

/// Names a coding scheme that is not one of the standard's (PS3.3 C.12.1).
int32_t gr_coding_scheme(gr_object *object, const char *designator, const char *name, gr_error *error);

/// Sets the frame of an image: rows × columns × red, green, blue.
int32_t gr_pixels(
    gr_object *object, uint32_t rows, uint32_t columns, const uint8_t *rgb, size_t count, gr_error *error);

// Segmentations (PS3.3 A.51): first the grid, then segments, then frames.

/// Puts a segmentation on the grid of a frame (from 0) of `original`, a DICOM file that says where it lies in the patient.
/// `dimension_uid` names the order of the frames.
int32_t gr_segmentation(
    gr_object *object, const void *original, size_t count, uint32_t frame, const char *dimension_uid, gr_error *error);

/// Adds a segment that an algorithm has made; `number` is what frames refer to.
int32_t gr_segment(
    gr_object *object, const char *label, gr_code category, gr_code type, const char *algorithm, const char *tracking_id,
    const char *tracking_uid, uint16_t *number, gr_error *error);

/// Adds the mask of a frame (from 0) of `original`: rows × columns bytes, 0 for places outside the segment. The image must
/// have the grid of the first one.
int32_t gr_segment_frame(
    gr_object *object, uint16_t number, const void *original, size_t count, uint32_t frame, const uint8_t *mask,
    uint32_t rows, uint32_t columns, gr_error *error);

/// Writes the object in Explicit VR Little Endian. `*bytes` is freed with `gr_free_bytes`.
int32_t gr_finish(gr_object *object, uint8_t **bytes, size_t *count, gr_error *error);
void gr_free_bytes(void *bytes);

#ifdef __cplusplus
}
#endif
#endif
