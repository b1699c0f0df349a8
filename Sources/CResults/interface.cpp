// SPDX-License-Identifier: GPL-3.0-or-later
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/oflog/oflog.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "object.hpp"

namespace {

using gantry::check;
using gantry::ResultFailure;

int32_t report(gr_error *out, int32_t code, const char *text) noexcept {
    if (out != nullptr) {
        out->code = code;
        std::snprintf(out->text, sizeof out->text, "%s", text);
    }
    return code;
}

/// Runs a body whose failures become codes: the only way into this library from C.
template <typename Body>
int32_t guarded(gr_error *out, Body &&body) noexcept {
    try {
        body();
        return report(out, GR_OK, "");
    } catch (const ResultFailure &failure) {
        return report(out, failure.code, failure.what());
    } catch (const std::bad_alloc &) {
        return report(out, GR_INTERNAL, "not enough memory for this object");
    } catch (const std::exception &exception) {
        return report(out, GR_INTERNAL, exception.what());
    } catch (...) {
        return report(out, GR_INTERNAL, "unknown exception in DCMTK");
    }
}

void need(bool is_good, const char *what) {
    if (!is_good) throw ResultFailure(GR_INVALID_ARGUMENT, what);
}

DSRDocumentTree &tree_of(gr_object *object) {
    need(object != nullptr && object->document, "content items belong to a report");
    return object->document->getTree();
}

DSRTypes::E_RelationshipType relationship_of(int32_t relationship) {
    switch (relationship) {
        case GR_CONTAINS: return DSRTypes::RT_contains;
        case GR_HAS_CONCEPT_MODIFIER: return DSRTypes::RT_hasConceptMod;
        case GR_HAS_OBSERVATION_CONTEXT: return DSRTypes::RT_hasObsContext;
        case GR_INFERRED_FROM: return DSRTypes::RT_inferredFrom;
        case GR_HAS_ACQUISITION_CONTEXT: return DSRTypes::RT_hasAcqContext;
        default: throw ResultFailure(GR_INVALID_ARGUMENT, "unknown relationship");
    }
}

DSRCodedEntryValue entry(const gr_code &code) {
    need(code.value != nullptr && code.scheme != nullptr && code.meaning != nullptr, "a code without value");
    return DSRCodedEntryValue(code.value, code.scheme, code.meaning);
}

/// Adds an item below the current one and makes it the current one.
DSRContentItem &add(gr_object *object, int32_t relationship, DSRTypes::E_ValueType type, const gr_code *name) {
    DSRDocumentTree &tree = tree_of(object);
    if (tree.isEmpty()) {
        need(type == DSRTypes::VT_Container && name != nullptr, "a report begins with a container");
        need(tree.addContentItem(DSRTypes::RT_isRoot, type) != 0, "the root cannot be added");
        check(tree.getCurrentContentItem().setConceptName(entry(*name)), "document title");
        return tree.getCurrentContentItem();
    }
    const auto link = relationship_of(relationship);
    if (name != nullptr) {
        check(tree.addChildContentItem(link, type, entry(*name)), name->meaning);
    } else {
        need(tree.addContentItem(link, type, DSRTypes::AM_belowCurrent) != 0, "the item is not allowed here");
    }
    return tree.getCurrentContentItem();
}

void leave(gr_object *object) { need(tree_of(object).goUp() != 0, "there is no item to leave"); }

}  // namespace

extern "C" {

int32_t gr_begin(int32_t kind, const void *original, size_t count, gr_object **out, gr_error *error) {
    return guarded(error, [&] {
        need(original != nullptr && out != nullptr && count > 0, "there is no original instance");
        *out = nullptr;
        // DCMTK would write its findings, which may name values, to our log.
        static const bool is_silent = [] {
            OFLog::configure(OFLogger::OFF_LOG_LEVEL);
            return true;
        }();
        static_cast<void>(is_silent);
        auto object = std::make_unique<gr_object>();
        gantry::copy_study(original, count, *object);
        switch (kind) {
            case GR_COMPREHENSIVE_SR:
                object->document = std::make_unique<DSRDocument>(DSRTypes::DT_ComprehensiveSR);
                break;
            case GR_KEY_OBJECT_SELECTION:
                object->document = std::make_unique<DSRDocument>(DSRTypes::DT_KeyObjectSelectionDocument);
                break;
            case GR_SECONDARY_CAPTURE:
            case GR_SEGMENTATION: break;
            default: throw ResultFailure(GR_INVALID_ARGUMENT, "unknown kind of object");
        }
        *out = object.release();
    });
}

void gr_free(gr_object *object) { delete object; }

int32_t gr_put(gr_object *object, const char *path, const char *value, gr_error *error) {
    return guarded(error, [&] {
        need(object != nullptr && path != nullptr && value != nullptr, "an element without path or value");
        object->attributes.emplace_back(path, value);
    });
}

int32_t gr_container(
    gr_object *object, int32_t relationship, gr_code name, const char *template_id, gr_error *error) {
    return guarded(error, [&] {
        DSRContentItem &item = add(object, relationship, DSRTypes::VT_Container, &name);
        if (template_id != nullptr && *template_id != 0)
            check(item.setTemplateIdentification(template_id, "DCMR"), "template");
    });
}

int32_t gr_text(gr_object *object, int32_t relationship, gr_code name, const char *text, gr_error *error) {
    return guarded(error, [&] {
        need(text != nullptr, "a text without value");
        check(add(object, relationship, DSRTypes::VT_Text, &name).setStringValue(text), name.meaning);
        leave(object);
    });
}

int32_t gr_uid(gr_object *object, int32_t relationship, gr_code name, const char *uid, gr_error *error) {
    return guarded(error, [&] {
        need(uid != nullptr, "a UID without value");
        check(add(object, relationship, DSRTypes::VT_UIDRef, &name).setStringValue(uid), name.meaning);
        leave(object);
    });
}

int32_t gr_coded(gr_object *object, int32_t relationship, gr_code name, gr_code value, gr_error *error) {
    return guarded(error, [&] {
        check(add(object, relationship, DSRTypes::VT_Code, &name).setCodeValue(entry(value)), name.meaning);
        leave(object);
    });
}

int32_t gr_number(
    gr_object *object, int32_t relationship, gr_code name, const char *number, gr_code units, gr_error *error) {
    return guarded(error, [&] {
        need(number != nullptr, "a number without value");
        const DSRNumericMeasurementValue value(number, entry(units));
        check(add(object, relationship, DSRTypes::VT_Num, &name).setNumericValue(value), name.meaning);
    });
}

int32_t gr_image(
    gr_object *object, int32_t relationship, gr_code name, const char *sop_class_uid, const char *sop_instance_uid,
    uint32_t frame, gr_error *error) {
    return guarded(error, [&] {
        need(sop_class_uid != nullptr && sop_instance_uid != nullptr, "an image without UIDs");
        DSRImageReferenceValue value(sop_class_uid, sop_instance_uid);
        if (frame > 0) value.getFrameList().putString(std::to_string(frame).c_str());
        const gr_code *concept_name = name.value == nullptr ? nullptr : &name;
        check(add(object, relationship, DSRTypes::VT_Image, concept_name).setImageReference(value), "image reference");
        leave(object);
    });
}

int32_t gr_leave(gr_object *object, gr_error *error) {
    return guarded(error, [&] { leave(object); });
}

int32_t gr_refer(
    gr_object *object, int32_t list, const char *series_instance_uid, const char *sop_class_uid,
    const char *sop_instance_uid, gr_error *error) {
    return guarded(error, [&] {
        need(object != nullptr && object->document, "references belong to a report");
        need(
            series_instance_uid != nullptr && sop_class_uid != nullptr && sop_instance_uid != nullptr,
            "a reference without UIDs");
        auto &references = list == GR_PREDECESSOR_DOCUMENTS ? object->document->getPredecessorDocuments()
                                                            : object->document->getCurrentRequestedProcedureEvidence();
        check(
            references.addItem(
                object->study_instance_uid.c_str(), series_instance_uid, sop_class_uid, sop_instance_uid),
            "reference");
    });
}

int32_t gr_coding_scheme(gr_object *object, const char *designator, const char *name, gr_error *error) {
    return guarded(error, [&] {
        need(
            object != nullptr && object->document && designator != nullptr && name != nullptr,
            "a coding scheme belongs to a report");
        auto &schemes = object->document->getCodingSchemeIdentification();
        check(schemes.addItem(designator), "coding scheme");
        check(schemes.setCodingSchemeName(name), "coding scheme");
    });
}

int32_t gr_pixels(
    gr_object *object, uint32_t rows, uint32_t columns, const uint8_t *rgb, size_t count, gr_error *error) {
    return guarded(error, [&] {
        need(
            object != nullptr && !object->document && rgb != nullptr && rows > 0 && columns > 0 && rows <= 8192 &&
                columns <= 8192 && count == size_t{3} * rows * columns,
            "the pixels do not fit the image");
        object->rows = rows;
        object->columns = columns;
        object->rgb.assign(rgb, rgb + count);
        // Pixel data has an even length (PS3.5 8.1.1).
        if (object->rgb.size() % 2 == 1) object->rgb.push_back(0);
    });
}

int32_t gr_segmentation(
    gr_object *object, const void *original, size_t count, uint32_t frame, const char *dimension_uid, gr_error *error) {
    return guarded(error, [&] {
        need(
            object != nullptr && !object->document && !object->segmentation && original != nullptr && count > 0 &&
                dimension_uid != nullptr,
            "no segmentation can begin here");
        gantry::begin_segmentation(*object, original, count, frame, dimension_uid);
    });
}

int32_t gr_segment(
    gr_object *object, const char *label, gr_code category, gr_code type, const char *algorithm, const char *tracking_id,
    const char *tracking_uid, uint16_t *number, gr_error *error) {
    return guarded(error, [&] {
        need(
            object != nullptr && object->segmentation && label != nullptr && algorithm != nullptr &&
                tracking_id != nullptr && tracking_uid != nullptr && number != nullptr,
            "segments belong to a segmentation");
        *number = gantry::add_segment(*object, label, category, type, algorithm, tracking_id, tracking_uid);
    });
}

int32_t gr_segment_frame(
    gr_object *object, uint16_t number, const void *original, size_t count, uint32_t frame, const uint8_t *mask,
    uint32_t rows, uint32_t columns, gr_error *error) {
    return guarded(error, [&] {
        need(
            object != nullptr && object->segmentation && original != nullptr && count > 0 && mask != nullptr,
            "frames belong to a segmentation");
        gantry::add_segment_frame(*object, number, original, count, frame, mask, rows, columns);
    });
}

int32_t gr_finish(gr_object *object, uint8_t **bytes, size_t *count, gr_error *error) {
    return guarded(error, [&] {
        need(object != nullptr && bytes != nullptr && count != nullptr, "there is no object to write");
        *bytes = nullptr;
        *count = 0;
        const std::vector<uint8_t> file = gantry::write_object(*object);
        auto *copy = static_cast<uint8_t *>(std::malloc(file.size()));
        if (copy == nullptr) throw std::bad_alloc();
        std::memcpy(copy, file.data(), file.size());
        *bytes = copy;
        *count = file.size();
    });
}

void gr_free_bytes(void *bytes) { std::free(bytes); }

}  // extern "C"
